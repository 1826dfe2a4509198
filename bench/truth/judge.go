package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	limit = groupInterval + time.Minute
	// slack is how long a change may take to reach a sender, Alertmanager, and the judge.
	slack = 8 * time.Second
	// restarted is how long after its start an Alertmanager may be without some firing alerts
	// (docs/on-call.md).
	restarted = 2 * time.Minute
	// clockSkew is how far smspager lets Alertmanager's clock differ from its own.
	clockSkew = 2 * time.Second
)

// verdict holds what the judge has seen.
type verdict struct {
	pages     map[string]*seenPage // by id
	texts     map[string]bool      // the judged messages, by id
	wrong     []string
	reported  map[string]bool
	someDown  time.Time // when either Alertmanager was last down
	bothDown  time.Time // when both were last down
	uncovered time.Duration
	overdue   time.Duration
	open      time.Duration // how long pages were open, in total
}

// seenPage holds what the judge has seen of a page.
type seenPage struct {
	keys map[string]bool // fingerprints of all alerts that the page has had
	over time.Time       // when the last of them ended; zero: one fires
}

func newVerdict() *verdict {
	return &verdict{pages: make(map[string]*seenPage), texts: make(map[string]bool), reported: make(map[string]bool)}
}

// blame records and prints what is wrong, once per key.
func (w *world) blame(key, format string, args ...any) {
	if !w.reported[key] {
		w.reported[key] = true
		w.wrong = append(w.wrong, time.Now().UTC().Format("15:04:05 ")+fmt.Sprintf(format, args...))
		fmt.Fprintln(w.out, w.wrong[len(w.wrong)-1])
	}
}

// judge compares what smspager has stored with the truth.
func (w *world) judge(ctx context.Context, now time.Time) error {
	pages, err := w.store.Pages(ctx, outbox.PageQuery{Current: true, Limit: 1000})
	if err != nil {
		return err
	}
	if w.isDown() {
		w.someDown = now
	}
	if !w.down[0].IsZero() && !w.down[1].IsZero() {
		w.bothDown = now
	}
	covered := make(map[string]bool)
	for _, p := range pages {
		seen := w.pages[p.ID]
		if seen == nil {
			seen = &seenPage{keys: make(map[string]bool)}
			w.pages[p.ID] = seen
		}
		for _, key := range p.AlertKeys {
			fingerprint, _, _ := strings.Cut(key, "@")
			seen.keys[fingerprint], covered[fingerprint] = true, true
		}
		if p.State == outbox.PageOpen {
			w.open += tick
		}
		w.judgePage(&p, seen, now)
	}
	for _, a := range w.alerts {
		w.judgeAlert(a, covered[a.fingerprint], now)
	}
	return w.judgeTexts(ctx, now)
}

// judgeAlert checks that an alert is not without a page for long.
func (w *world) judgeAlert(a *alert, covered bool, now time.Time) {
	if w.wants(a, now, slack) {
		a.active = now
	}
	wants := w.wants(a, now, 0)
	switch {
	case !wants || covered:
		a.uncovered = time.Time{}
	case a.uncovered.IsZero():
		a.uncovered = now
	default:
		w.uncovered = max(w.uncovered, now.Sub(a.uncovered))
		if now.Sub(a.uncovered) > limit {
			w.blame("alert"+a.fingerprint+a.uncovered.String(), "%v fires for %s without a page", a.labels, now.Sub(a.uncovered).Round(time.Second))
		}
	}
}

// judgePage checks that a page is not open for long after its last alert ended.
func (w *world) judgePage(p *outbox.Page, seen *seenPage, now time.Time) {
	if slices.ContainsFunc(w.alerts, func(a *alert) bool { return a.firing && seen.keys[a.fingerprint] }) {
		seen.over = time.Time{}
		return
	}
	if seen.over.IsZero() {
		seen.over = now
	}
	var doc document
	if err := json.Unmarshal(p.Doc, &doc); err != nil {
		w.blame("doc"+p.ID, "page %s cannot be read: %v", p.Code, err)
	}
	if !doc.SettlesAt.IsZero() {
		if now.Sub(doc.SettlesAt) > slack {
			w.blame("flap"+p.ID, "page %s (%s) flapped, and does not end", p.Code, p.Headline)
		}
		return
	}
	if w.unknown(&doc, now) {
		return
	}
	w.overdue = max(w.overdue, now.Sub(seen.over))
	if now.Sub(seen.over) > limit {
		w.blame("page"+p.ID, "page %s (%s) is %s %s after its last alert ended", p.Code, p.Headline, p.State, now.Sub(seen.over).Round(time.Second))
	}
}

// document holds the fields of a page's Doc that the judge reads.
type document struct {
	SettlesAt time.Time `json:"settles_at"`
	Alerts    []struct {
		State    string               `json:"state"`
		Notified time.Time            `json:"notified"` // when a notification last reported it
		Listed   map[string]time.Time `json:"listed"`   // when Alertmanagers last listed it
	} `json:"alerts"`
}

// unknown reports whether no Alertmanager can know that the alerts of a page have ended: both have just
// started, and either one was down when smspager may have asked, or an alert was last reported before
// the later start.
func (w *world) unknown(doc *document, now time.Time) bool {
	if now.Sub(w.bothDown) < slack {
		return true
	}
	var last time.Time
	for i, started := range w.started {
		if w.down[i].IsZero() && now.Sub(started) > restarted+slack {
			return false
		}
		if started.After(last) {
			last = started
		}
	}
	unseen := false
	for _, a := range doc.Alerts {
		seen := a.Notified
		for _, at := range a.Listed {
			if at.After(seen) {
				seen = at
			}
		}
		unseen = unseen || (a.State == "firing" || a.State == "suppressed") && seen.Before(last.Add(clockSkew))
	}
	return unseen || now.Sub(w.someDown) <= limit
}

// judgeTexts checks that nobody is paged for alerts that are all suppressed or over while an Alertmanager
// can report that. An Alertmanager that has just started may notify of suppressed alerts: it gets them
// before its peer's silences and the inhibiting alerts, and does not wait for group_wait.
func (w *world) judgeTexts(ctx context.Context, now time.Time) error {
	messages, err := w.store.List(ctx, outbox.Query{Limit: 100})
	if err != nil {
		return err
	}
	for _, m := range messages {
		if w.texts[m.ID] {
			continue
		}
		w.texts[m.ID] = true
		seen := w.pages[m.PageID]
		if seen == nil || !strings.HasPrefix(m.Text, "CRITICAL") && !strings.HasPrefix(m.Text, "STILL") {
			continue
		}
		excused := now.Sub(w.bothDown) < slack || now.Sub(w.started[0]) < slack || now.Sub(w.started[1]) < slack
		if !excused && !slices.ContainsFunc(w.alerts, func(a *alert) bool { return seen.keys[a.fingerprint] && now.Sub(a.active) < slack }) {
			w.blame("text"+m.ID, "%s gets %q, although all of its alerts are suppressed or over", m.To, m.Text)
		}
	}
	return nil
}

// report prints the figures, and returns an error if something was wrong.
func (w *world) report(ctx context.Context) error {
	for _, what := range slices.Sorted(maps.Keys(w.happened)) {
		fmt.Fprintf(w.out, "%6d %s\n", w.happened[what], what)
	}
	fmt.Fprintf(w.out, "%6d pages, %d texts, %.0f requests to Alertmanager for each hour that a page is open\n",
		len(w.pages), len(w.texts), float64(w.asked.Load())/w.open.Hours())
	fmt.Fprintf(w.out, "longest without a page: %s; longest time a page outlived its alerts: %s; the limit is %s\n",
		w.uncovered.Round(time.Second), w.overdue.Round(time.Second), limit)
	if len(w.wrong) > 0 {
		return fmt.Errorf("%d faults found", len(w.wrong))
	}
	return ctx.Err()
}
