package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/status"
)

// gapped is a configuration with rotas in Paris and Tokyo that have gaps.
const gapped = `
textinghouse: {user: acme, password: secret}
contacts:
  - {name: alice, number: "+33639980001", aliases: [Alice A.]}
  - {name: bob, number: "+33639980002"}
  - {name: carol, number: "+33639980003"}
rotas:
  - {name: primary, timezone: Europe/Paris, turns: {start: "2026-11-02 09:00", days: 7, people: [alice, bob]}}
  - {name: storage, timezone: Asia/Tokyo, calendar: nowhere.ics, default: ["+33639980009"]}
  - {name: later, timezone: Europe/Paris, turns: {start: "3026-11-02 09:00", days: 7, people: [carol]}}
receivers:
  - {name: oncall, to: ["rota:primary"]}
`

// TestDuty: the page shows the reader's shifts first, gaps in words, and a row for each rota.
func TestDuty(t *testing.T) {
	w := newWorldOf(t, gapped)
	readAt := time.Now().Add(-26 * time.Hour)
	w.status.Calendars = []status.Calendar{
		{Rota: "primary", Source: "turns"}, {Rota: "storage", Source: "file", ReadAt: status.OrNil(readAt), Error: "GET of +33639980007: 503"}, {Rota: "later", Source: "turns"},
	}
	w.contacts[0].Verified, w.contacts[1].Stopped = time.Time{}, time.Now()
	w.shows("/duty", http.StatusOK,
		"You are on duty", "Your shifts", "<span>primary</span>", "2\u00a0gaps",
		"The calendar was never read. Pages go to +3363•••09, the default.", "No default: <strong>nobody is paged.</strong>", "<b>all the time</b>", "<td>earlier</td><td>later</td>",
		"Europe/Paris. Turns in the configuration.", "Asia/Tokyo, 8\u00a0h ahead of you. Calendar nowhere.ics, ", "26\u00a0h\u00a0ago</time></span>: GET of +3363•••07: 503", `class="gap" fill="url(#hatch)"`,
		`class="shift mine"`, `class="now"`, "alice</span> is not verified", "bob</span> has stopped all texts", "Shifts of primary in words", "nobody</span></td>", "Earlier", "Later", "!Today</a>")
	w.caller = access.Caller{Login: "eve", Role: viewer.Role}
	w.shows("/duty", http.StatusOK, "<h1>2\u00a0gaps in two weeks", "!Your shifts", "!shift mine")
	w.shows("/duty?from=2026-01-31", http.StatusOK, "Sat\u00a031\u00a0Jan to Fri\u00a013\u00a0Feb 2026.", "/duty?from=2026-01-17\">Earlier", "/duty?from=2026-02-14\">Later", "Today</a>", "!class=\"now\"")
	w = newWorldOf(t, strings.Replace(gapped, "days: 7, people: [alice, bob]", "days: 7, people: [alice]", 1)+"\n")
	w.shows("/duty?from=2026-10-24", http.StatusOK, "until Mon\u00a02\u00a0Nov 09:00", "Over.")
	for _, from := range []string{"yesterday", "2026-02-30", "0001-01-01", "9999-01-01"} {
		w.shows("/duty?from="+from, http.StatusBadRequest, "There is no such day.")
	}
}

// TestDutyDays: a row is as wide as its days, even when the clocks change, and nothing is drawn outside it.
func TestDutyDays(t *testing.T) {
	w := newWorldOf(t, gapped)
	body := w.get("/duty?from=2027-03-20").Body.String() // 28 March has 23 hours
	shifts := regexp.MustCompile(`<svg x="([0-9.]+)%" y="4" width="([0-9.]+)%"`).FindAllStringSubmatch(body, -1)
	if len(shifts) != 3 {
		t.Fatalf("%d shifts, want 3:\n%s", len(shifts), body)
	}
	// primary changes on Mondays at 09:00: 57 h after Saturday 20 March 00:00, and 167 h later, of 335 h.
	for i, want := range [][2]string{{"0.00", "17.01"}, {"17.01", "49.85"}, {"66.87", "33.13"}} {
		if shifts[i][1] != want[0] || shifts[i][2] != want[1] {
			t.Errorf("shift %d is at %s, %s wide, want %v", i, shifts[i][1], shifts[i][2], want)
		}
	}
	if n := strings.Count(body, `text-anchor="middle"`); n != 14 {
		t.Errorf("%d days, want 14", n)
	}
}

// TestDutyLabel: the line that marks the current time does not cross the name of the contact on duty.
func TestDutyLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 28, 14, 0, 0, 0, paris))) // 14 of the 57 hours until Monday 09:00
		body := newWorldOf(t, gapped).get("/duty").Body.String()
		if !strings.Contains(body, `<text class="who" x="24.56%" dx="8" y="23">bob</text>`) || !strings.Contains(body, `<text class="who" x="0" dx="8" y="23">alice</text>`) {
			t.Error(body)
		}
	})
}
