package templating

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating/gsm7"
)

const (
	// maxOutput bounds what a template may write, in bytes. Ten segments hold
	// 1,530 septets.
	maxOutput = 64 << 10
	// maxAlerts bounds the alerts that a template is given. More than these
	// never fit, as each takes at least a separator and a character.
	maxAlerts = 500
)

// Rendering is a text and how it came about.
type Rendering struct {
	Text   string
	Size   gsm7.Size
	Shown  int    // alerts that the template was given
	Hidden int    // alerts that it was not given, those that Alertmanager left out included
	Cut    bool   // the text was cut at a word
	Raw    string // what the template made, before it was spelt and cut
	Err    error  // why the template could not be used; Text is then the built-in plain text
}

var (
	errEmpty   = errors.New("the template makes an empty text")
	errTooLong = fmt.Errorf("the template makes more than %d bytes", maxOutput)
)

// view is what a template sees: the notification with as many of its alerts as
// are to be shown.
type view struct {
	alertmanager.Data
	GroupKey        string
	TruncatedAlerts uint64
	MayStillFire    bool
	FiringCount     int  // of all alerts listed by Alertmanager, shown or not
	ResolvedCount   int  // likewise
	Repeated        bool // sent again because the repeat interval elapsed

	hidden     int
	hiddenTold bool
}

// Hidden is the number of alerts that the template is not given.
func (v *view) Hidden() int {
	v.hiddenTold = true
	return v.hidden
}

// Render makes the text of a notification, of at most maxSegments segments.
func (t *Text) Render(n Notification, maxSegments int) Rendering {
	alerts := bySeverity(n.Alerts)
	v := &view{
		Data: n.Data, GroupKey: n.GroupKey, TruncatedAlerts: n.TruncatedAlerts, MayStillFire: n.MayStillFire,
		FiringCount: len(n.Alerts.Firing()), ResolvedCount: len(n.Alerts.Resolved()),
		Repeated: n.NotificationReason == "repeat interval elapsed",
	}
	r, err := t.fit(v, alerts, maxSegments)
	if err != nil {
		v.Alerts = alerts[:min(1, len(alerts))]
		v.hidden = hidden(v, alerts, len(v.Alerts))
		text := gsm7.Transliterate(plain(v, t.now()))
		r = Rendering{Shown: len(v.Alerts), Hidden: v.hidden, Raw: text, Err: err}
		r.Text = gsm7.Truncate(text, maxSegments)
		r.Cut = r.Text != text
	}
	r.Size = gsm7.Measure(r.Text)
	return r
}

// hidden is how many alerts are not among the first so many.
func hidden(v *view, alerts alertmanager.Alerts, shown int) int {
	const most = 1 << 31 // a payload can claim any number
	return len(alerts) - shown + int(min(v.TruncatedAlerts, most))
}

// fit gives the template as many alerts as there is room for.
func (t *Text) fit(v *view, alerts alertmanager.Alerts, maxSegments int) (Rendering, error) {
	in, ok := t.instances.Get().(*instance)
	if !ok {
		return Rendering{}, errors.New("the templates cannot be copied")
	}
	defer t.instances.Put(in)
	try := func(shown int) (r Rendering, err error) {
		v.Alerts = alerts[:shown]
		v.hidden, v.hiddenTold = hidden(v, alerts, shown), false
		r = Rendering{Shown: shown, Hidden: v.hidden}
		r.Raw, err = in.execute(v)
		if err != nil && !errors.Is(err, errTooLong) {
			return r, err
		}
		r.Text = gsm7.Transliterate(strings.TrimSpace(r.Raw))
		if r.Hidden > 0 && !v.hiddenTold {
			r.Text += fmt.Sprintf(" +%d more", r.Hidden)
		}
		return r, nil
	}
	fits := func(r Rendering) bool { return gsm7.Measure(r.Text).Segments <= maxSegments }

	most := min(len(alerts), maxAlerts)
	all, err := try(most)
	if err != nil || fits(all) {
		return all, err
	}
	var best Rendering
	if most > 1 {
		// The most alerts that fit: a template shows more the more it is given.
		tooMany := 1 + sort.Search(most-1, func(i int) bool {
			if err != nil {
				return true
			}
			var r Rendering
			if r, err = try(1 + i); err != nil || !fits(r) {
				return true
			}
			best = r
			return false
		})
		if err != nil || tooMany > 1 {
			return best, err
		}
	}
	one, err := try(min(1, most))
	if err != nil {
		return one, err
	}
	if len(one.Raw) == len(all.Raw) { // it does not list alerts
		one = all
	}
	one.Text = gsm7.Truncate(one.Text, maxSegments)
	one.Cut = true
	return one, nil
}

// execute runs the template within bounds. What was written is returned even
// where it became too long.
func (in *instance) execute(v *view) (text string, err error) {
	in.view = v
	var out boundedWriter
	defer func() {
		in.view = nil
		if p := recover(); p != nil {
			text, err = "", fmt.Errorf("the template panics: %v", p)
		}
	}()
	err = in.templates.ExecuteTemplate(&out, "text", v)
	switch {
	case out.full:
		return out.String(), errTooLong
	case err != nil:
		return "", located(err)
	case strings.TrimSpace(out.String()) == "":
		return "", errEmpty
	}
	return out.String(), nil
}

// boundedWriter stops a template that writes too much.
type boundedWriter struct {
	strings.Builder
	full bool
}

func (w *boundedWriter) Write(p []byte) (int, error) {
	if room := maxOutput - w.Len(); len(p) > room {
		w.full = true
		w.Builder.Write(p[:room])
		return room, errTooLong
	}
	return w.Builder.Write(p)
}

// bySeverity orders alerts for someone who sees only the first: firing before
// resolved, severe before mild, new before old.
func bySeverity(alerts alertmanager.Alerts) alertmanager.Alerts {
	sorted := slices.Clone(alerts)
	slices.SortStableFunc(sorted, func(a, b alertmanager.Alert) int {
		return cmp.Or(
			cmp.Compare(statusRank(a.Status), statusRank(b.Status)),
			cmp.Compare(severityRank(a.Labels), severityRank(b.Labels)),
			b.StartsAt.Compare(a.StartsAt),
		)
	})
	return sorted
}

func statusRank(status string) int {
	if status == string(model.AlertFiring) {
		return 0
	}
	return 1
}

// severityRank is lower the severer an alert is. The names are those that
// Prometheus's, Zabbix's and Grafana's users give.
func severityRank(labels alertmanager.KV) int {
	switch strings.ToLower(cmp.Or(labels["severity"], labels["priority"])) {
	case "critical", "page", "disaster", "emergency", "fatal", "alert", "p1":
		return 0
	case "error", "high", "major", "p2":
		return 1
	case "warning", "warn", "average", "minor", "p3":
		return 2
	case "info", "information", "notice", "low", "p4":
		return 3
	}
	return 4
}

// age is how long an alert has been firing, or fired until it was resolved; 0
// where the payload does not tell, and where it began less than a minute ago,
// which is no news to who is paged at once.
func age(a alertmanager.Alert, now time.Time) time.Duration {
	end, least := now, time.Minute
	if a.Status != string(model.AlertFiring) {
		least = time.Second
		if !a.EndsAt.IsZero() {
			end = a.EndsAt
		}
	}
	if d := end.Sub(a.StartsAt); !a.StartsAt.IsZero() && d >= least {
		return d
	}
	return 0
}
