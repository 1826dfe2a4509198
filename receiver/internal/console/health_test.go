package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestHealth: the page shows the state of every part, and problems at the top.
func TestHealth(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	w.month()
	w.shows("/health", http.StatusOK,
		"<h1>Messages arrive", "Half within ", "api.textinghouse.com", "in use", "in reserve", "<b>1,941</b>", "for 52\u00a0days at last week’s pace", "2.3\u00a0s", "to 999 and back, every 5m", "1\u00a0message", "the oldest since", "this process",
		"Configuration refused:</span> the old one stays in force: smspager.yml:41:7", "reload failed", "; a later one was refused at", "Segments per day", "Credit at the end of the day", "Nights woken", "<th scope=\"row\">today</th>", "!figures are cut")
	at := time.Now()
	credit := 1.5
	for _, c := range []struct {
		name string
		s    status.Status
		want []string
	}{
		{"refused", status.Status{Account: status.Account{Refused: "wrong password of +33639980007", Credit: &credit}}, []string{"<h1>Nothing is sent", `banner bad"`, `is-bad">refused`, "!980007"}},
		{"endpoints", status.Status{Endpoints: []status.Endpoint{{Host: "a"}, {Host: "b", Up: true}}}, []string{`is-bad">does not respond`, `is-ok">in use`}},
		{"spool", status.Status{Spool: status.Spool{Backlog: 3, Since: status.OrNil(at), Trouble: "disk full"}}, []string{`is-bad">3 wait`, "the outbox cannot be written: disk full"}},
		{"trouble", status.Status{Spool: status.Spool{Trouble: "disk full"}}, []string{`is-bad">in trouble`}},
		{"another leader", status.Status{Leader: status.Leader{Shared: true}}, []string{`is-wait">another replica`}},
		{"leader", status.Status{Leader: status.Leader{Shared: true, Leading: true}}, []string{"other replicas follow"}},
		{"no leader", status.Status{}, []string{`is-warn">nobody`}},
		{"probe", status.Status{Probe: status.Probe{Interval: "5m", Late: true}}, []string{`is-warn">late`, "Probe late:"}},
		{"no probe yet", status.Status{Probe: status.Probe{Interval: "5m"}}, []string{`is-wait">none yet`}},
		{"calendars", status.Status{Calendars: []status.Calendar{{Rota: "a", Source: "file", Error: "404"}, {Rota: "b", Source: "url", ReadAt: status.OrNil(at), Error: "503"}, {Rota: "c", Source: "url", ReadAt: status.OrNil(at)}, {Rota: "d", Source: "turns"}}},
			[]string{"Calendar of a", `is-bad">never read`, `is-warn">old`, ": 503", `is-ok">fresh`, "!Calendar of d"}},
	} {
		w.status = c.s
		t.Log(c.name)
		w.shows("/health", http.StatusOK, c.want...)
	}
	w = newWorld(t, "")
	w.err = errors.New("disk on fire")
	w.shows("/health", http.StatusServiceUnavailable, "The outbox cannot be read.")
}

// TestVerdict: the heading says whether messages arrive.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		heading string
		add     func(w *world)
	}{
		{"No message yet", func(*world) {}},
		{"No message today", func(w *world) { w.message(bob, 48*time.Hour, outbox.Delivered, "x") }},
		{"Messages arrive", func(w *world) { w.message(bob, time.Hour, outbox.Delivered, "x") }},
		{"Messages arrive late", func(w *world) {
			m := w.message(bob, time.Hour, outbox.Delivered, "x")
			m.UpdatedAt = m.CreatedAt.Add(3 * time.Minute)
		}},
		{"1 message did not arrive", func(w *world) { w.message(bob, time.Hour, outbox.Failed, "x") }},
		{"2 messages did not arrive", func(w *world) {
			w.message(bob, time.Hour, outbox.Expired, "x")
			w.message(bob, time.Hour, outbox.Unknown, "x")
		}},
	} {
		w := newWorld(t, "")
		c.add(w)
		w.shows("/health", http.StatusOK, "<h1>"+c.heading+"</h1>")
	}
}

// TestFigures: percentiles, segments, pages and nights match the messages and pages.
func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 28, 12, 0, 0, 0, paris)))
		w := newWorld(t, "")
		for i := range 10 { // delivered after 1 s, 2 s, … 10 s, about 20 minutes ago
			m := w.message(bob, 20*time.Minute+time.Duration(i)*time.Second, outbox.Delivered, strings.Repeat("x", 200))
			m.UpdatedAt = m.CreatedAt.Add(time.Duration(i+1) * time.Second)
		}
		w.message(bob, 10*time.Minute, outbox.Queued, "not sent").AcceptedAt = time.Time{}
		w.probe(time.Now().Add(-20*time.Minute), 1500*time.Millisecond)
		for _, at := range []string{"2026-11-27T22:00:00", "2026-11-28T06:59:59", "2026-11-26T02:00:00"} { // two nights
			sent, _ := time.ParseInLocation("2006-01-02T15:04:05", at, paris)
			w.message(alice, time.Since(sent)+200*time.Millisecond, outbox.Delivered, "x")
		}
		for _, at := range []string{"2026-11-27T21:59:59", "2026-11-28T07:00:00", "2026-10-01T03:00:00"} {
			sent, _ := time.ParseInLocation("2006-01-02T15:04:05", at, paris)
			w.message(carol, time.Since(sent)+200*time.Millisecond, outbox.Delivered, "x")
		}
		asked := w.message(carol, 9*time.Hour, outbox.Delivered, "OK, 6279 is yours")
		asked.GroupKey = "smspager:reply:x"
		w.shows("/health", http.StatusOK,
			"<tr><th scope=\"row\">12:00</th><td class=\"n\">5.0\u00a0s</td><td class=\"n\">9.0\u00a0s</td><td class=\"n\">1.5\u00a0s</td></tr>",
			"Half within ", "26 in 30 days", "p50 about", "at most 9.0\u00a0s", "<span>alice</span><b>2\u00a0nights</b>", "!<span>carol</span>",
			"<tr><th scope=\"row\">today</th><td class=\"n\">0</td><td class=\"n\">0</td><td class=\"n\">14</td></tr>")

		w.message(alice, time.Minute, outbox.Failed, "x") // the figures are cached for a minute
		w.shows("/health", http.StatusOK, "<h1>Messages arrive</h1>")
		time.Sleep(time.Minute)
		w.shows("/health", http.StatusOK, "<h1>1 message did not arrive</h1>")
	})
}

// TestFiguresCut: if there are very many messages, only the latest are read, and the page says so.
func TestFiguresCut(t *testing.T) {
	w := newWorld(t, "")
	for i := range 12_000 {
		at := time.Now().Add(-time.Duration(i) * time.Minute)
		w.messages = append(w.messages, outbox.Message{ID: fmt.Sprintf("%013d", at.UnixMilli()), To: e164.Number("+33639980001"), Text: "x", Segments: 1, State: outbox.Delivered, CreatedAt: at, AcceptedAt: at, UpdatedAt: at.Add(time.Second)})
	}
	w.shows("/health", http.StatusOK, "The figures are cut: they are those of the last 5000 messages, since ", "5,000 in 30 days", "!Probes before")
	w = newWorld(t, "")
	for i := range 10_000 {
		w.probe(time.Now().Add(-time.Duration(i)*time.Minute), time.Second)
	}
	w.message(bob, 20*24*time.Hour, outbox.Delivered, "x")
	w.shows("/health", http.StatusOK, "Probes before", "!figures are cut", "1 in 30 days") // probes do not displace texts
}

// TestPlots: nothing is drawn outside its plot, whatever the figures are.
func TestPlots(t *testing.T) {
	w := newWorld(t, "")
	for i, took := range []time.Duration{0, time.Millisecond, time.Hour, 72 * time.Hour} {
		m := w.message(bob, time.Duration(i)*time.Hour+time.Minute, outbox.Delivered, "x")
		m.UpdatedAt = m.CreatedAt.Add(took)
	}
	w.credits = []status.Credit{{At: time.Now(), Left: -5}, {At: time.Now().Add(-48 * time.Hour), Left: 1234567}}
	body := w.get("/health").Body.String()
	for _, points := range regexp.MustCompile(`points="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		for point := range strings.FieldsSeq(points[1]) {
			var x, y float64
			if _, err := fmt.Sscanf(point, "%f,%f", &x, &y); err != nil || y < 0 || y > 130 || x < -0.5 || x > 48 {
				t.Errorf("point %q, %v", point, err)
			}
		}
	}
	for _, bar := range regexp.MustCompile(`<rect class="(?:bar|f-[a-z]+)"[^>]* x="[0-9.]+%" y="([^"]*)" width="[^"]*" height="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		var y, height float64
		if _, err := fmt.Sscanf(bar[1]+" "+bar[2], "%f %f", &y, &height); err != nil || y < 9 || height <= 0 || y+height > 111 {
			t.Errorf("bar %q, %v", bar[0], err)
		}
	}
	if !strings.Contains(body, "1,234,567") {
		t.Error("the credit is not in its table")
	}
}
