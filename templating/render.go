package templating

import (
	"errors"
	"fmt"
	"maps"
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
	LongTail    string // replaces Tail if that costs no further segment; "": never
	Again       bool   // the recipient has had this page before; the text says so (STILL)
}

// Rendering is a text and how it was made.
type Rendering struct {
	Text   string
	Size   gsm7.Size
	Shown  int  // alerts that the text lists or counts
	Hidden int  // the others, including those that Alertmanager left out
	Cut    bool // the text was cut at a word
	// Headline is what the text is about, in a few words: severity and what the group has in
	// common.
	Headline string
	// Shortened lists the values that were written shorter, in order.
	Shortened []Shortening
	// Err is why the template could not be used. Text is then a built-in plain text.
	Err error

	raw    string // what the template made, before it was transliterated and cut
	tight  bool
	to     gsm7.Alphabet
	c      *composition
	choice choice
	used   piece
}

// Choice names a part of a text ("object", "sentence", "lines", "figures") and its source, such as
// "deployment, named in description".
type Choice struct {
	Part string `json:"part"`
	From string `json:"from"`
}

// Shortening is a value, and what was written instead.
type Shortening struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Changes returns the characters that an SMS cannot hold, or that a cheaper spelling replaced to
// save a segment, with what was written instead.
func (r *Rendering) Changes() []gsm7.Change {
	changes := gsm7.Changes(r.raw, r.to)
	if !r.tight {
		return changes
	}
	for _, bracket := range "[]{}|" {
		from := string(bracket)
		if n := strings.Count(r.raw, from) - strings.Count(gsm7.Cheap(r.raw), from); n > 0 {
			changes = append(changes, gsm7.Change{From: from, To: gsm7.Cheap(from), Count: n})
		}
	}
	return changes
}

// Choices returns what the built-in functions chose for the text, and why.
func (r *Rendering) Choices() []Choice {
	if r.c == nil {
		return nil
	}
	return r.c.reasons(r.choice, r.used)
}

var errEmpty = errors.New("the template writes nothing")

// view is what a template sees: the notification with those of its alerts that it should show.
type view struct {
	alertmanager.Data
	GroupKey        string
	TruncatedAlerts uint64
	MayStillFire    bool
	FiringCount     int  // number of firing alerts that Alertmanager listed, shown or not
	ResolvedCount   int  // number of resolved alerts that it listed
	Repeated        bool // sent again because the repeat interval elapsed
	Single          bool // there is one alert, and Alertmanager left none out

	common      []alertmanager.Pair // labels that all alerts have, sorted by name
	hidden      int
	hiddenShown bool // the template writes Hidden
}

// Hidden returns how many alerts the template is not given.
func (v *view) Hidden() int {
	v.hiddenShown = true
	return v.hidden
}

// Render makes the text of a notification.
func (t *Text) Render(n Notification, b Budget) (r Rendering) {
	b.MaxSegments = max(1, b.MaxSegments)
	defer func() {
		if p := recover(); p != nil {
			r = t.lastResort(n, b, fmt.Errorf("rendering panics: %v", p))
		}
	}()
	return t.render(n, b)
}

// lastResort returns a text that needs only a name and a count.
func (t *Text) lastResort(n Notification, b Budget, err error) Rendering {
	text := fmt.Sprintf("%s %s: %s, %d alerts", strings.ToUpper(n.Status), Severity(n), alertName(CommonLabels(n.Alerts)), len(n.Alerts)+int(min(n.TruncatedAlerts, maxTruncated)))
	a := attempt{Rendering: Rendering{Hidden: len(n.Alerts), Err: err, raw: text, to: t.set.to}}
	a.body, a.tail = gsm7.Transliterate(text, t.set.to), lastLine(b.Tail, t.set.to)
	r := a.cut(b.MaxSegments)
	r.Size, r.Headline = gsm7.Measure(r.Text), gsm7.TruncateUnits(a.body, longestHeadline)
	return r
}

func (t *Text) render(n Notification, b Budget) Rendering {
	alerts := t.set.severities.sort(n.Alerts)
	v := &view{
		Data: n.Data, GroupKey: n.GroupKey, TruncatedAlerts: n.TruncatedAlerts, MayStillFire: n.MayStillFire,
		FiringCount: len(n.Alerts.Firing()), ResolvedCount: len(n.Alerts.Resolved()),
		Repeated: b.Again,
		Single:   len(n.Alerts) == 1 && n.TruncatedAlerts == 0,
	}
	if len(v.CommonLabels) == 0 { // Grafana may leave them out
		v.CommonLabels = CommonLabels(alerts)
	}
	v.common = v.CommonLabels.SortedPairs()
	c := t.set.compositionOf(v, alerts, t.now())
	r, err := t.fit(v, c, alerts, b)
	if err != nil {
		v.show(alerts, min(1, len(alerts)))
		a := attempt{Rendering: Rendering{Shown: len(v.Alerts), Hidden: v.hidden, Err: err, to: t.set.to}}
		a.raw = fallback(v, c)
		a.body = gsm7.Transliterate(a.raw, t.set.to)
		if !v.MayStillFire { // the text says so already
			a.tail = more(v.hidden)
		}
		a.tail += lastLine(b.Tail, t.set.to)
		r = a.cut(b.MaxSegments)
	}
	r.Size = gsm7.Measure(r.Text)
	if head, found := strings.CutSuffix(r.Text, lastLine(b.Tail, t.set.to)); found && b.LongTail != "" {
		long := head + lastLine(b.LongTail, t.set.to)
		if size := gsm7.Measure(long); size.Segments == r.Size.Segments {
			r.Text, r.Size = long, size
		}
	}
	r.Headline = c.headline()
	return r
}

// Unlisted says that alerts fire that the notification does not list.
func Unlisted(n uint64) string {
	if n == 1 {
		return "1 more of unknown severity fires"
	}
	return fmt.Sprintf("%d more of unknown severity fire", n)
}

// CommonLabels returns the labels that all alerts have.
func CommonLabels(alerts alertmanager.Alerts) alertmanager.KV {
	common := alertmanager.KV{}
	for i, a := range alerts {
		if i == 0 {
			maps.Copy(common, a.Labels)
			continue
		}
		maps.DeleteFunc(common, func(name, value string) bool { return a.Labels[name] != value })
	}
	return common
}

// maxTruncated is the highest number of left-out alerts that a payload can claim.
const maxTruncated = 1 << 31

// show gives the template the first shown alerts.
func (v *view) show(alerts alertmanager.Alerts, shown int) {
	v.Alerts = alerts[:shown]
	v.hidden, v.hiddenShown = len(alerts)-shown+int(min(v.TruncatedAlerts, maxTruncated)), false
}

// more returns " +N more", or "" if none is hidden.
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

// squeeze says how values are written to save room.
type squeeze struct {
	tight  bool // save what costs next to nothing: cheap spellings, ages in days
	limit  int  // most septets of a value; 0: no limit
	values bool // record the written values, to shorten the longest
}

// instance is a copy of the templates whose functions know what is being rendered. It renders one
// text at a time.
type instance struct {
	*Text
	view   *view
	c      *composition
	choice choice
	used   piece // what the template has written of the composition
	squeeze
	effort    effort
	out       boundedWriter
	tail      int // start of the tail in out; -1: none
	longest   int // septets or units of the longest value
	shortened []Shortening
	execute   func(values bool) error
}

// attempt is the result of executing the template in one way.
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

// whole returns the rendering of a text that fits.
func (a *attempt) whole() Rendering {
	a.Text = a.body + a.tail
	return a.Rendering
}

// cut returns the rendering of a text that does not fit.
func (a *attempt) cut(maxSegments int) Rendering {
	a.Text = gsm7.TruncateBefore(a.body, a.tail, maxSegments)
	a.Cut = a.Cut || a.Text != a.body+a.tail
	return a.Rendering
}

// try executes the template with the first shown alerts.
func (in *instance) try(alerts alertmanager.Alerts, shown int, b Budget, s squeeze, ch choice) (attempt, error) {
	in.view.show(alerts, shown)
	if ch.segments > 0 { // a choice selects which lines are written, not which alerts are given
		in.view.hidden += in.c.hidden(ch) - (len(alerts) - shown)
	}
	in.squeeze, in.choice, in.used, in.effort, in.tail, in.longest, in.shortened = s, ch, 0, effort{}, -1, 0, nil
	in.out = boundedWriter{}
	err := in.run()
	a := attempt{Rendering: Rendering{Shown: shown, Hidden: in.view.hidden, Shortened: in.shortened, to: in.set.to}, longest: in.longest, tooLong: in.out.full}
	a.raw, a.tight, a.c, a.choice, a.used = in.out.String(), s.tight, in.c, ch, in.used
	if err != nil && !a.tooLong {
		return a, err
	}
	body, tail := a.raw, ""
	if in.tail >= 0 {
		body, tail = a.raw[:in.tail], a.raw[in.tail:]
	}
	if a.body = strings.TrimSpace(gsm7.Transliterate(tidy(body), in.set.to)); a.body == "?" && strings.TrimSpace(body) != "?" {
		a.body = "" // nothing of it can be written
	}
	if s.tight {
		a.body = gsm7.Cheap(a.body)
	}
	if a.body == "" && strings.TrimSpace(tail) == "" {
		return a, errEmpty
	}
	if !in.view.hiddenShown {
		a.tail = more(in.view.hidden)
	}
	last := lastLine(b.Tail, in.set.to)
	if ending := strings.TrimSpace(tail); ending != "" {
		between := body[len(strings.TrimRight(body, " \n")):] + tail[:len(tail)-len(strings.TrimLeft(tail, " \n"))]
		ending = between[:min(1, len(between))] + gsm7.Transliterate(tidy(ending), in.set.to)
		switch {
		case gsm7.Measure(a.tail+ending+last).Units <= b.MaxSegments*singleSegment*3/4:
			a.tail += ending
		case gsm7.Measure(a.body+ending+a.tail+last).Segments <= b.MaxSegments:
			a.body += ending
		default: // too long to stay
			a.Cut = true
			rest := a.tail + last
			if size := gsm7.Measure(a.body + rest); size.Segments <= b.MaxSegments {
				a.body = strings.TrimSuffix(gsm7.TruncateBefore(a.body+ending, rest, size.Segments), rest)
			}
		}
	}
	a.tail += last
	return a, nil
}

// run executes the template. What was written before an error is in out.
func (in *instance) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the template panics: %v", p)
		}
	}()
	if err = in.execute(in.values); err != nil && !in.out.full {
		return located(err)
	}
	return err
}

// tidy removes spaces that nobody sees, at the ends of lines and several in a row, and all but one
// of several empty lines.
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

// age returns how long an alert has been firing, or fired until it was resolved. It returns 0 if
// the payload does not say, and in the first minute, which says nothing new.
func age(a *alertmanager.Alert, now time.Time) time.Duration {
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
