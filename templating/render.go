package templating

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating/gsm7"
)

// Budget is the room for a text.
type Budget struct {
	MaxSegments int    // less than 1: 1
	Tail        string // a last line that always stays, such as a code to reply with
}

// Rendering is a text and how it came about.
type Rendering struct {
	Text   string
	Size   gsm7.Size
	Shown  int  // alerts that the template was given
	Hidden int  // alerts that it was not given, those that Alertmanager left out included
	Cut    bool // the text was cut at a word
	// Headline is what it is about, in a few words: severity and what the group
	// has in common.
	Headline string
	// Shortened are values that were written shorter than they are, in order.
	Shortened []Shortening
	// Err says why the template could not be used; Text is then the built-in plain text.
	Err error

	raw   string // what the template made, before it was spelt and cut
	tight bool
	to    gsm7.Alphabet
}

// Shortening is a value and what was written of it.
type Shortening struct{ From, To string }

// Changes are the characters that an SMS cannot hold, or for which a cheaper
// spelling saved a segment, and what was written in their place.
func (r *Rendering) Changes() []gsm7.Change {
	changes := gsm7.Changes(r.raw, r.to)
	if !r.tight {
		return changes
	}
	for _, bracket := range "[]{}|" {
		from := string(bracket)
		if n := strings.Count(r.raw, from); n > 0 {
			changes = append(changes, gsm7.Change{From: from, To: gsm7.Cheap(from), Count: n})
		}
	}
	return changes
}

var errEmpty = errors.New("the template makes an empty text")

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
	hosts      map[string]string // of each instance, see shortHosts
}

// Hidden is the number of alerts that the template is not given.
func (v *view) Hidden() int {
	v.hiddenTold = true
	return v.hidden
}

// Render makes the text of a notification.
func (t *Text) Render(n Notification, b Budget) Rendering {
	b.MaxSegments = max(1, b.MaxSegments)
	alerts := bySeverity(n.Alerts)
	v := &view{
		Data: n.Data, GroupKey: n.GroupKey, TruncatedAlerts: n.TruncatedAlerts, MayStillFire: n.MayStillFire,
		FiringCount: len(n.Alerts.Firing()), ResolvedCount: len(n.Alerts.Resolved()),
		Repeated: n.NotificationReason == "repeat interval elapsed",
	}
	r, err := t.fit(v, alerts, b)
	if err != nil {
		v.show(alerts, min(1, len(alerts)))
		a := attempt{Rendering: Rendering{Shown: len(v.Alerts), Hidden: v.hidden, Err: err, to: t.to}}
		a.raw = plain(v, t.now())
		a.body = gsm7.Transliterate(a.raw, t.to)
		if !v.MayStillFire { // which tells already
			a.tail = more(v.hidden)
		}
		a.tail += lastLine(b.Tail, t.to)
		r = a.cut(b.MaxSegments)
	}
	r.Size = gsm7.Measure(r.Text)
	v.show(alerts, min(1, len(alerts)))
	r.Headline = headline(v, t.to)
	return r
}

// show makes the first so many alerts those that a template is given.
func (v *view) show(alerts alertmanager.Alerts, shown int) {
	const most = 1 << 31 // a payload can claim any number
	v.Alerts = alerts[:shown]
	v.hidden, v.hiddenTold = len(alerts)-shown+int(min(v.TruncatedAlerts, most)), false
}

// more tells how many alerts are hidden.
func more(hidden int) string {
	if hidden == 0 {
		return ""
	}
	return fmt.Sprintf(" +%d more", hidden)
}

func lastLine(tail string, to gsm7.Alphabet) string {
	if tail == "" {
		return ""
	}
	return "\n" + gsm7.Transliterate(tail, to)
}

// squeeze is how values are written to save room.
type squeeze struct {
	tight bool // what loses next to nothing: cheap spellings, hosts without what all have in common, ages in days
	limit int  // septets that a value may take; 0: any
}

// instance is a copy of the templates whose functions know what is rendered. It
// serves one rendering at a time.
type instance struct {
	*Text
	view *view
	squeeze
	effort    effort
	out       boundedWriter
	tail      int // where the tail begins in out; -1: there is none
	longest   int // septets or units of the longest value
	shortened []Shortening
	execute   func() error
}

// attempt is what the template makes in one way.
type attempt struct {
	Rendering
	body, tail string
	longest    int
	tooLong    bool // the template was stopped
}

func (a *attempt) segments() int {
	if a.tooLong {
		return maxOutput
	}
	return gsm7.Measure(a.body + a.tail).Segments
}

// whole is the rendering of a text that fits.
func (a *attempt) whole() Rendering {
	a.Text = a.body + a.tail
	return a.Rendering
}

// cut is the rendering of one that does not.
func (a *attempt) cut(maxSegments int) Rendering {
	a.Text = gsm7.TruncateBefore(a.body, a.tail, maxSegments)
	a.Cut = a.Text != a.body+a.tail
	return a.Rendering
}

// try executes the template with the first so many alerts.
func (in *instance) try(alerts alertmanager.Alerts, shown int, b Budget, s squeeze) (attempt, error) {
	in.view.show(alerts, shown)
	in.squeeze, in.effort, in.tail, in.longest, in.shortened = s, effort{}, -1, 0, nil
	in.out = boundedWriter{}
	in.view.hosts = nil
	if s.tight {
		in.view.hosts = shortHosts(in.view.Alerts)
	}
	err := in.run()
	a := attempt{Rendering: Rendering{Shown: shown, Hidden: in.view.hidden, Shortened: in.shortened, to: in.to}, longest: in.longest, tooLong: in.out.full}
	a.raw, a.tight = in.out.String(), s.tight
	if err != nil && !a.tooLong {
		return a, err
	}
	body, tail := a.raw, ""
	if in.tail >= 0 {
		body, tail = a.raw[:in.tail], a.raw[in.tail:]
	}
	if a.body = strings.TrimSpace(gsm7.Transliterate(tidy(body), in.to)); a.body == "?" && strings.TrimSpace(body) != "?" {
		a.body = "" // it holds nothing that can be spelt
	}
	if s.tight {
		a.body = gsm7.Cheap(a.body)
	}
	if a.body == "" && strings.TrimSpace(tail) == "" {
		return a, errEmpty
	}
	if !in.view.hiddenTold {
		a.tail = more(in.view.hidden)
	}
	last := lastLine(b.Tail, in.to)
	if said := strings.TrimSpace(tail); said != "" {
		between := body[len(strings.TrimRight(body, " \n")):] + tail[:len(tail)-len(strings.TrimLeft(tail, " \n"))]
		said = between[:min(1, len(between))] + gsm7.Transliterate(tidy(said), in.to)
		if gsm7.Measure(a.tail+said+last).Units > b.MaxSegments*singleSegment*3/4 {
			a.body += said // too long to stay
		} else {
			a.tail += said
		}
	}
	a.tail += last
	return a, nil
}

// run executes the template. What was written is in out even where it fails.
func (in *instance) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the template panics: %v", p)
		}
	}()
	if err = in.execute(); err != nil && !in.out.full {
		return located(err)
	}
	return err
}

// tidy leaves out spaces that nobody sees: at lines' ends, several in a row, and
// more than one empty line.
func tidy(s string) string {
	if !strings.Contains(s, "  ") && !strings.Contains(s, " \n") && !strings.Contains(s, "\n\n\n") && !strings.Contains(s, "\n ") {
		return s
	}
	lines := strings.Split(s, "\n")
	kept := lines[:0]
	for i, line := range lines {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		line = strings.Join(words, " ")
		if line == "" && i > 1 && len(kept) > 0 && kept[len(kept)-1] == "" {
			continue
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
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

// Severest is a notification with at most so many of its alerts: firing before
// resolved, severe before mild, new before old. Those left out are counted in
// TruncatedAlerts.
func Severest(n Notification, most int) Notification {
	if len(n.Alerts) > most {
		n.TruncatedAlerts += uint64(len(n.Alerts) - most)
		n.Alerts = bySeverity(n.Alerts)[:most]
	}
	return n
}

// Severity is that of the severest alert that fires, or may, as its label severity
// (or priority) has it; "" where no label tells, or nothing fires.
func Severity(n Notification) string {
	for _, a := range bySeverity(n.Alerts) {
		if s := cmp.Or(a.Labels["severity"], a.Labels["priority"]); s != "" && (n.MayStillFire || a.Status == string(model.AlertFiring)) {
			return s
		}
	}
	return ""
}

// Severities are those of the alerts that fire, or may, and of all where none does:
// what the label severity (or priority) says, "" for an alert without it, each once.
func Severities(n Notification) []string {
	alerts := alertmanager.Alerts(n.Alerts.Firing())
	if n.MayStillFire || len(alerts) == 0 {
		alerts = n.Alerts
	}
	var all []string
	for _, a := range alerts {
		if s := cmp.Or(a.Labels["severity"], a.Labels["priority"]); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func statusRank(status string) int {
	if status == string(model.AlertFiring) {
		return 0
	}
	return 1
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
