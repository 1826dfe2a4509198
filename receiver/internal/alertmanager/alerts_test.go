package alertmanager_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
)

// peers are Alertmanagers with their responses by host and path: a body, "hang" for none, or a number for
// a status. asked holds the requests.
type peers struct {
	responses map[string]map[string]string

	mu    sync.Mutex
	asked []string
}

func (p *peers) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.asked = append(p.asked, r.URL.Host+" "+r.URL.RequestURI())
	p.mu.Unlock()
	body, ok := p.responses[r.URL.Host][r.URL.Path]
	code := http.StatusOK
	switch {
	case body == "hang":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case !ok:
		code = http.StatusNotFound
	case len(body) == 3:
		_, _ = fmt.Sscan(body, &code)
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (p *peers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

const (
	alerts = "/api/v2/alerts"
	groups = "/api/v2/alerts/groups"
	status = "/api/v2/status"
)

func TestAlerts(t *testing.T) {
	const (
		active   = `[{"fingerprint":"a","startsAt":"2026-11-28T03:00:00Z","status":{"state":"active","silencedBy":[],"inhibitedBy":[]}}]`
		silenced = `[{"fingerprint":"a","status":{"state":"suppressed","silencedBy":["s1","s2","s3"],"inhibitedBy":["b"]}}]`
		mutedIn  = `[{"receiver":{"name":"r"},"alerts":[{"fingerprint":"a","status":{"state":"active","mutedBy":["nights","holidays"]}}]}]`
	)
	for name, test := range map[string]struct {
		responses map[string]map[string]string
		want      string // "": an error
	}{
		"active":                      {map[string]map[string]string{"one": {alerts: active, groups: `[]`}}, `a at 03:00`},
		"without groups":              {map[string]map[string]string{"one": {alerts: active}}, `a at 03:00`},
		"none":                        {map[string]map[string]string{"one": {alerts: `[]`, groups: `[]`}}, `none`},
		"silenced, with its author":   {map[string]map[string]string{"one": {alerts: silenced, "/api/v2/silence/s1": `{"createdBy":"dave","endsAt":"2026-11-28T04:00:00Z"}`, "/api/v2/silence/s2": `{"createdBy":"erin","endsAt":"2026-11-28T05:30:00+01:00"}`}}, `a silenced by erin until 04:30 UTC`},
		"silenced, author unknown":    {map[string]map[string]string{"one": {alerts: silenced}}, `a silenced`},
		"inhibited":                   {map[string]map[string]string{"one": {alerts: `[{"fingerprint":"a","status":{"state":"suppressed","inhibitedBy":["b"]}}]`}}, `a inhibited by another alert`},
		"muted, as the groups report": {map[string]map[string]string{"one": {alerts: active, groups: mutedIn}}, `a muted by nights, holidays`},
		"muted in one of two groups":  {map[string]map[string]string{"one": {alerts: active, groups: strings.Replace(mutedIn, `]}}]}]`, `]}}]},{"alerts":[{"fingerprint":"a","status":{"mutedBy":[]}}]}]`, 1)}}, `a at 03:00`},
		"suppressed, reason unknown":  {map[string]map[string]string{"one": {alerts: `[{"fingerprint":"a","status":{"state":"suppressed"}}]`}}, `a suppressed`},
		"active for one of two peers": {map[string]map[string]string{"one": {alerts: silenced}, "two": {alerts: active}}, `a at 03:00`},
		"one peer does not list it":   {map[string]map[string]string{"one": {alerts: `[]`}, "two": {alerts: active}}, `a at 03:00`},
		"one peer hangs":              {map[string]map[string]string{"one": {alerts: "hang", groups: "hang"}, "two": {alerts: active}}, `a at 03:00, in part`},
		"one peer is broken":          {map[string]map[string]string{"one": {alerts: "502"}, "two": {alerts: active}}, `a at 03:00, in part`},
		"groups hang":                 {map[string]map[string]string{"one": {alerts: active, groups: "hang"}}, `a at 03:00`},
		"started recently":            {map[string]map[string]string{"one": {alerts: `[]`, status: `{"uptime":"2026-11-28T02:00:00Z"}`}}, `none since 02:00`},
		"one peer started recently":   {map[string]map[string]string{"one": {alerts: `[]`, status: `{"uptime":"2026-11-28T02:00:00Z"}`}, "two": {alerts: `[]`, status: `{"uptime":"2026-11-27T01:00:00Z"}`}}, `none since 02:00 since 01:00`},
		"one of two peers hangs":      {map[string]map[string]string{"one": {alerts: "hang"}, "two": {alerts: `[]`, status: `{"uptime":"2026-11-27T01:00:00Z"}`}}, `none since 01:00, in part`},
		"one peer refuses its status": {map[string]map[string]string{"one": {alerts: `[]`, status: "403"}, "two": {alerts: `[]`, status: `{"uptime":"2026-11-27T01:00:00Z"}`}}, `none since 01:00`},
		"the status is refused":       {map[string]map[string]string{"one": {alerts: `[]`, status: "403"}}, `none`},
		"the status hangs":            {map[string]map[string]string{"one": {alerts: `[]`, status: "hang"}}, ""},
		"the status is broken":        {map[string]map[string]string{"one": {alerts: `[]`, status: "502"}}, ""},
		"the status is HTML":          {map[string]map[string]string{"one": {alerts: `[]`, status: "<html>"}}, ""},
		"the alerts hang":             {map[string]map[string]string{"one": {alerts: "hang"}}, ""},
		"401":                         {map[string]map[string]string{"one": {alerts: "401"}}, ""},
		"a login page":                {map[string]map[string]string{"one": {alerts: "<html>"}}, ""},
		"null":                        {map[string]map[string]string{"one": {alerts: "null"}}, ""},
		"an object":                   {map[string]map[string]string{"one": {alerts: `{"error":"x"}`}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peers{responses: test.responses}
				var addresses []string
				for _, host := range slices.Sorted(maps.Keys(test.responses)) {
					addresses = append(addresses, "http://"+host)
				}
				s := alertmanager.New(alertmanager.Options{URLs: addresses, Client: &http.Client{Transport: p}})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				listing, err := s.Alerts(ctx, alertmanager.Query{Wanted: []string{"a"}})
				got := ""
				if err == nil {
					got = "none"
					if a, ok := listing.Alerts["a"]; ok {
						got = "a " + a.By
						if !a.Suppressed {
							got += "at " + a.StartsAt.Format("15:04")
						}
					}
					for _, address := range addresses {
						if start := listing.Starts[address]; !start.IsZero() {
							got += " since " + start.Format("15:04")
						}
					}
					if !listing.All {
						got += ", in part"
					}
				}
				if got != test.want || (err != nil) != (test.want == "") {
					t.Errorf("Alerts lists %q (%v), want %q", got, err, test.want)
				}
			})
		})
	}
}

// TestRest: an Alertmanager that does not respond is asked again only after 10 s, so it does not delay
// every page.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{responses: map[string]map[string]string{"one": {alerts: "502", groups: "502"}}}
		s := alertmanager.New(alertmanager.Options{URLs: []string{"http://one"}, Client: &http.Client{Transport: p}})
		for _, want := range []int{2, 2, 4} {
			if _, err := s.Alerts(t.Context(), alertmanager.Query{}); err == nil || p.count() != want {
				t.Errorf("after %d requests: %v, want %d", p.count(), err, want)
			}
			time.Sleep(5 * time.Second)
		}
	})
}

// TestRestIsShared: an Alertmanager that did not respond to one question is not asked the other, however
// its URL is written.
func TestRestIsShared(t *testing.T) {
	for _, url := range []string{"http://one", "http://one/", "http://one/prefix/", "http://one//"} {
		alertsOf := func(s *alertmanager.Silencer) error {
			_, err := s.Alerts(t.Context(), alertmanager.Query{})
			return err
		}
		silencing := func(s *alertmanager.Silencer) error { _, err := s.Silencing(t.Context(), nil); return err }
		for _, order := range [][]func(*alertmanager.Silencer) error{{alertsOf, silencing}, {silencing, alertsOf}} {
			p := &peers{responses: map[string]map[string]string{"one": {alerts: "502", groups: "502", "/prefix" + alerts: "502", "/prefix" + groups: "502"}}}
			s := alertmanager.New(alertmanager.Options{URLs: []string{url}, Client: &http.Client{Transport: p}})
			if err := order[0](s); err == nil {
				t.Fatal("it responded")
			}
			asked := p.count()
			if err := order[1](s); err == nil || p.count() != asked {
				t.Errorf("%s: asked again: %v", url, p.asked)
			}
		}
	}
}

// TestFilter: any value is quoted as Alertmanager reads it, and labels with names that old versions refuse
// are left out (report alertmanager.md, 3).
func TestFilter(t *testing.T) {
	p := &peers{responses: map[string]map[string]string{"one": {alerts: "[]", groups: "[]"}}}
	s := alertmanager.New(alertmanager.Options{URLs: []string{"http://one"}, Client: &http.Client{Transport: p}})
	labels := map[string]string{"a": "Équipe\u00a0A\u200b\t\x7f", "b": `C:\x "q"`, "c": "two\nlines", "d.e": "x", "f": ""}
	if _, err := s.Alerts(t.Context(), alertmanager.Query{Labels: labels}); err != nil {
		t.Fatal(err)
	}
	for _, asked := range p.asked {
		_, query, _ := strings.Cut(asked, "?")
		q, err := url.ParseQuery(query)
		want := []string{"a=\"Équipe\u00a0A\u200b\t\x7f\"", `b="C:\\x \"q\""`, `c="two\nlines"`, `f=""`}
		if err != nil || !slices.Equal(q["filter"], want) {
			t.Errorf("the filters are %q (%v), want %q", q["filter"], err, want)
		}
	}
}

func TestLongestRepeat(t *testing.T) {
	for config, want := range map[string]time.Duration{
		`route: {receiver: a}`:                      4 * time.Hour,
		`route: {receiver: a, repeat_interval: 1h}`: time.Hour,
		`route: {repeat_interval: 1h, routes: [{receiver: b}, {repeat_interval: 30m, routes: [{repeat_interval: 1d}]}]}`: 24 * time.Hour,
		`route: [`: 0,
	} {
		address, _ := responding(t, 200, fmt.Sprintf(`{"config":{"original":%q}}`, config))
		got, err := alertmanager.New(alertmanager.Options{URLs: []string{address}, Client: http.DefaultClient}).LongestRepeat(t.Context())
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%s gives %s (%v), want %s", config, got, err, want)
		}
	}
}
