package people_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// oddCalendar serves a calendar with an ETag that defines Paris differently from the time zone data.
type oddCalendar struct{ asked []string } // If-None-Match of each request

func (c *oddCalendar) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked = append(c.asked, r.Header.Get("If-None-Match"))
	response := &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{"Etag": {`"1"`}}, Request: r, Body: io.NopCloser(strings.NewReader(
		"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Europe/Paris\nBEGIN:STANDARD\nDTSTART:19990101T000000\nTZOFFSETFROM:+0500\nTZOFFSETTO:+0500\nEND:STANDARD\nEND:VTIMEZONE\n" +
			"BEGIN:VEVENT\nUID:1\nSUMMARY:alice\nDTSTART;TZID=Europe/Paris:19990101T000000\nDURATION:P1D\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n"))}
	if r.Header.Get("If-None-Match") != "" {
		response.StatusCode, response.Status, response.Body = http.StatusNotModified, "304 Not Modified", io.NopCloser(strings.NewReader(""))
	}
	return response, nil
}

// gauge returns the first value of a gauge metric.
func gauge(t *testing.T, reg prometheus.Gatherer, name string) float64 {
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Errorf("there is no %s", name)
	return 0
}

// TestZonesOfACalendar: the log and a metric report that a calendar defines a time zone differently from the
// time zone data. (The test's own time zone data has a release but is otherwise unreadable, so the program's is
// used.) A reload with other time zone data reads the calendar again, even if it has not changed.
func TestZonesOfACalendar(t *testing.T) {
	zones := func(release string) string {
		dir := t.TempDir()
		for _, f := range []string{"Europe/Paris", "tzdata.zi"} {
			if err := os.MkdirAll(filepath.Join(dir, "Europe"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f), []byte("# version "+release+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	old, fresh := zones("2026a"), zones("2026b")
	t.Setenv("ZONEINFO", old)
	synctest.Test(t, func(t *testing.T) {
		cfg, err := config.Parse("x.yml", []byte(`
textinghouse: {user: acme, password: x}
contacts: [{name: alice, number: "`+alice+`"}]
rotas: [{name: primary, calendar_url: "http://calendar/rota.ics"}]
receivers: [{name: oncall, to: ["rota:primary"]}]
`))
		if err != nil {
			t.Fatal(err)
		}
		f := &fake{marks: make(map[string]outbox.Mark)}
		stored, err := spool.New(spool.Options{Open: func(context.Context) (outbox.Store, error) { return f, nil }, Handover: f.handover})
		if err != nil {
			t.Fatal(err)
		}
		defer stored.Close()
		var log bytes.Buffer
		reg, server := prometheus.NewRegistry(), &oddCalendar{}
		d := people.New(people.Options{Spool: stored, Notices: people.NewNotices(outbox.NewIDs()), Transport: server, Registerer: reg, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		run := func() {
			d.Configure(cfg)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			d.Run(ctx)
		}
		began := time.Now()
		d.Configure(cfg)
		time.Sleep(time.Hour)
		if at := gauge(t, reg, "smspager_rota_last_read_timestamp_seconds"); int64(at) != began.Unix() {
			t.Errorf("before the calendar is read, the metric has %v", at)
		}
		run()
		d.Configure(cfg)
		if at := gauge(t, reg, "smspager_rota_last_read_timestamp_seconds"); int64(at) != began.Add(time.Hour).Unix() {
			t.Errorf("after a reload, the metric has %v", at)
		}
		if !strings.Contains(log.String(), "UTC+05:00 in the calendar, but UTC+01:00 in the time zone data") {
			t.Error(log.String())
		}
		if n := gauge(t, reg, "smspager_rota_zone_differences"); n != 1 {
			t.Errorf("%v differences", n)
		}
		asked := func() string { // the If-None-Match of a run's first request
			before := len(server.asked)
			run()
			return server.asked[before]
		}
		if got := asked(); got != `"1"` {
			t.Errorf("after a reload with the same data, If-None-Match is %q", got)
		}
		t.Setenv("ZONEINFO", fresh)
		if got := asked(); got != "" {
			t.Errorf("after a reload with other data, If-None-Match is %q", got)
		}
	})
}
