package oncall_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// paged is a receiver with the default limits, whose pages are escalated.
var paged = strings.Replace(escalating, "    limits: []\n", "", 1)

// TestCriticalNeverWaits: with the default limits, five warnings delay neither a critical page nor its
// escalation.
func TestCriticalNeverWaits(t *testing.T) {
	for _, severity := range []string{"critical", "Critical", " CRIT ", "P0", "sev1", "page", "emergency", "1"} {
		t.Run(severity, func(t *testing.T) {
			inWorld(t, strings.Replace(paged, "after: 5m", "after: 1m", 1), func(w *world) {
				a, b := w.phone(alice), w.phone(bob)
				for i := range 5 {
					w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("DiskSpaceLow", i), severity: "warning", instance: "x"})
					a.expect(time.Second, "WARNING DiskSpaceLow...Re CODE")
					after(520 * time.Millisecond)
				}
				after(time.Second)
				down := alert{name: "DatabaseDown", severity: severity, instance: "db-1"}
				w.notify("oncall", "db", "first notification", down)
				if text := a.expect(time.Millisecond, "...OK? Re CODE"); !strings.Contains(text, " DatabaseDown: db-1, for 10m") {
					t.Errorf("alice gets %q", text)
				}
				for range 5 {
					b.expect(time.Minute, "WARNING DiskSpaceLow...")
				}
				if text := b.expect(5*time.Second, "...No answer from alice. OK? Re CODE"); !strings.Contains(text, " DatabaseDown: db-1") {
					t.Errorf("bob gets %q", text)
				}
			})
		})
	}
}

// TestResolvedDoesNotUseUpLimits: RESOLVED does not count towards the limits of pages, and waits if the page's
// own message is held.
func TestResolvedDoesNotUseUpLimits(t *testing.T) {
	inWorld(t, paged, func(w *world) {
		a := w.phone(alice)
		flap := func(i int, resolved bool) {
			reason := "first notification"
			if resolved {
				reason = "all alerts resolved"
			}
			w.notify("oncall", fmt.Sprint(i), reason, alert{name: fmt.Sprint("Load", i), severity: "warning", instance: "x", resolved: resolved})
			after(100 * time.Millisecond)
		}
		for i := range 3 {
			flap(i, false)
			a.expect(time.Second, "WARNING Load...")
			flap(i, true)
			a.expect(time.Second, "RESOLVED Load...")
		}
		for i := range 4 {
			flap(3+i, false)
		}
		flap(3, true)
		a.expect(time.Millisecond, "WARNING Load3...")
		a.expect(time.Millisecond, "WARNING Load4...")
		text := a.expect(3*time.Minute, "3 more in 3 groups: ...")
		if !regexp.MustCompile(`^3 more in 3 groups: WARNING Load5 x \d{4}, WARNING Load6 x \d{4}, RESOLVED Load3 x$`).MatchString(text) {
			t.Errorf("the digest is %q", text)
		}
	})
}

// TestStormOfCriticalGroups: of 200 critical pages, ten are sent in full immediately. The others follow
// within seconds in a few digests, each page with its code.
func TestStormOfCriticalGroups(t *testing.T) {
	inWorld(t, paged, func(w *world) {
		const groups, fewest = 200, 10
		begin := time.Now()
		for i := range groups {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Service", 100+i, "Down"), severity: "critical", instance: fmt.Sprint("web-", i)})
		}
		after(10 * time.Second)
		codes := make(map[string]bool)
		full, digests, segments := 0, 0, 0
		for _, m := range w.sim.Messages() {
			segments += m.Segments
			switch found := regexp.MustCompile(`\b\d{4}\b`).FindAllString(m.Text, -1); {
			case strings.HasPrefix(m.Text, "CRITICAL "):
				full++
				codes[found[len(found)-1]] = true
				if at := m.At.Sub(begin); at > 10*time.Millisecond {
					t.Errorf("a page in full comes after %s", at)
				}
			default:
				digests++
				for _, code := range found {
					codes[code] = true
				}
				if at := m.At.Sub(begin); at > 7*time.Second {
					t.Errorf("a digest comes after %s", at)
				}
			}
		}
		t.Logf("%d in full, %d digests, %d segments", full, digests, segments)
		if full != fewest || digests > 14 {
			t.Errorf("%d pages in full and %d digests", full, digests)
		}
		missing := 0
		_, pages := w.do("GET", "/api/v1/pages?limit=500", "")
		for _, m := range regexp.MustCompile(`"code":"(\d{4})"`).FindAllStringSubmatch(pages, -1) {
			if !codes[m[1]] {
				missing++
			}
		}
		if missing > 0 || len(codes) < groups {
			t.Errorf("%d codes reached the phone, %d are missing", len(codes), missing)
		}
	})
}

// TestNoticesAreNotLimited: notices of a page's new holder are sent immediately, however many there are.
func TestNoticesAreNotLimited(t *testing.T) {
	inWorld(t, strings.Replace(paged, "to: [alice]", "to: [alice, bob]", 1), func(w *world) {
		const pages = 15
		for i := range pages {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Down", i), severity: "critical", instance: "x"})
		}
		after(10 * time.Second)
		_, list := w.do("GET", "/api/v1/pages?limit=500", "")
		for _, m := range regexp.MustCompile(`"code":"(\d{4})"`).FindAllStringSubmatch(list, -1) {
			if err := w.sim.Reply(alice, m[1]); err != nil {
				t.Fatal(err)
			}
			after(time.Millisecond)
		}
		after(time.Second)
		notices := 0
		for _, m := range w.sim.Messages() {
			if strings.HasPrefix(m.Text, "alice has ") {
				notices++
			}
		}
		if notices != pages {
			t.Errorf("bob gets %d notices of %d", notices, pages)
		}
	})
}

// TestUrgentInCapitals is scenario-urgent-in-capitals.yml: case does not matter in the list of urgent
// severities either.
func TestUrgentInCapitals(t *testing.T) {
	const cfg = team + "receivers: [{name: oncall, to: [alice], urgent: [\" High\"], limits: [{messages: 1, per: 10m}]}]\n"
	inWorld(t, cfg, func(w *world) {
		a := w.phone(alice)
		w.notify("oncall", "small", "first notification", alert{name: "Small", severity: "warning", instance: "x"})
		a.expect(time.Second, "WARNING Small...")
		w.notify("oncall", "large", "first notification", alert{name: "Large", severity: "HIGH", instance: "x"})
		a.expect(3*time.Second, "HIGH Large...")
	})
}

// TestCutNotificationPassesLimits: a notification that leaves out alerts passes limits, because one of them may
// be critical.
func TestCutNotificationPassesLimits(t *testing.T) {
	const cfg = team + "receivers: [{name: oncall, to: [alice], urgent: [], limits: [{messages: 1, per: 10m}]}]\n"
	inWorld(t, cfg, func(w *world) {
		for i, truncated := range []int{0, 0, 7} {
			body := fmt.Sprintf(`{"version": "4", "receiver": "oncall", "status": "firing", "groupKey": "%[1]d", "truncatedAlerts": %[2]d, "alerts": [
				{"status": "firing", "labels": {"alertname": "A%[1]d", "severity": "warning"}, "startsAt": "1999-12-31T23:50:00Z"}]}`, i, truncated)
			if code, text := w.do("POST", "/alertmanager/oncall", body); code != 200 {
				t.Fatal(code, text)
			}
			after(time.Second)
		}
		if ms := w.sim.Messages(); len(ms) != 2 || !strings.Contains(ms[1].Text, "A2") {
			t.Errorf("%d messages were sent: %v", len(ms), ms)
		}
	})
}

// TestConfiguredSeverities: the configured label and order decide which texts pass limits, which quiet
// hours hold, and which come first.
func TestConfiguredSeverities(t *testing.T) {
	const cfg = team + `
severities: {label: tier, order: [gold, silver, bronze]}
receivers: [{name: oncall, to: [alice], limits: [{messages: 1, per: 10m}], escalate: [{after: 20m, to: [bob]}]}]
`
	inWorld(t, cfg, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		post := func(name, tier string) {
			body := fmt.Sprintf(`{"version": "4", "receiver": "oncall", "status": "firing", "groupKey": "%[1]s", "alerts": [
				{"status": "firing", "labels": {"alertname": "%[1]s", "severity": "warning", "tier": "%[2]s"}, "startsAt": "1999-12-31T23:50:00Z"}]}`, name, tier)
			if code, text := w.do("POST", "/alertmanager/oncall", body); code != 200 {
				t.Fatal(code, text)
			}
			after(10 * time.Millisecond)
		}
		post("A", "bronze")
		post("B", "bronze")
		post("C", "Silver")
		post("D", "GOLD")
		after(15 * time.Minute)
		var texts []string
		for _, m := range w.sim.Messages() {
			texts = append(texts, regexp.MustCompile(`\d{4}`).ReplaceAllString(m.Text, "CODE"))
		}
		if want := []string{"BRONZE A, for 10m\nOK? Re CODE", "GOLD D, for 10m\nOK? Re CODE", "2 more in 2 groups: SILVER C CODE, BRONZE B CODE"}; !slices.Equal(texts, want) {
			t.Errorf("alice gets %q, want %q", texts, want)
		}
		for range 3 {
			a.expect(time.Second, "...")
		}
		a.say("?")
		if text := a.expect(time.Second, "4 pages:..."); strings.Index(text, "GOLD D") > strings.Index(text, "SILVER C") || strings.Index(text, "SILVER C") > strings.Index(text, "BRONZE A") {
			t.Errorf("the list is %q", text)
		}
		b.expect(6*time.Minute, "BRONZE A...")
		b.expect(time.Second, "GOLD D...No answer from alice. OK? Re CODE")
	})
}
