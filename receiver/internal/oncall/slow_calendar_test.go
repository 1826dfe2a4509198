package oncall_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowCalendar is a server that responds after a delay, like that of Outlook's published calendars.
type slowCalendar time.Duration

func (s slowCalendar) RoundTrip(r *http.Request) (*http.Response, error) {
	timer := time.NewTimer(time.Duration(s))
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-timer.C:
	}
	const shift = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nSUMMARY:alice\nDTSTART:19990101T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n"
	return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(strings.NewReader(shift)), Request: r}, nil
}

// TestScenarioCalendarTakes12s is field/scenario-calendar-takes-12s.yml: a notification does not wait for
// a calendar that is not read yet.
func TestScenarioCalendarTakes12s(t *testing.T) {
	const calendar = team + `
rotas: [{name: primary, calendar_url: "http://calendar/rota.ics", default: [carol], refresh: 10s}]
receivers: [{name: oncall, to: ["rota:primary"], limits: [], acknowledge: true}]
`
	inWorld(t, team+"receivers: [{name: oncall, to: [carol], limits: [], acknowledge: true}]\n", func(w *world) {
		w.routes.set("calendar", slowCalendar(12*time.Second))
		if err := w.r.Apply(w.config(calendar)); err != nil {
			t.Fatal(err)
		}
		w.notify("oncall", "early", "first notification", other)
		w.phone(carol).expect(time.Second, "CRITICAL LoadHigh...")
		after(14 * time.Second)
		w.fire()
		w.phone(alice).expect(time.Second, "CRITICAL DiskFull...")
	})
}

// TestCalendarTimeout: if reading a calendar exceeds the rota's timeout, the rota's default is paged.
func TestCalendarTimeout(t *testing.T) {
	const calendar = team + `
rotas: [{name: primary, calendar_url: "http://calendar/rota.ics", default: [carol], refresh: 10s, timeout: 5s}]
receivers: [{name: oncall, to: ["rota:primary"], limits: [], acknowledge: true}]
`
	inWorld(t, team+"receivers: [{name: oncall, to: [carol], limits: [], acknowledge: true}]\n", func(w *world) {
		w.routes.set("calendar", slowCalendar(12*time.Second))
		if err := w.r.Apply(w.config(calendar)); err != nil {
			t.Fatal(err)
		}
		after(30 * time.Second)
		w.fire()
		w.phone(carol).expect(time.Second, "CRITICAL DiskFull...")
	})
}
