package api_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
)

// chain is the rest of smspager: each of its times is at. Its pages change whenever they are read.
type chain struct {
	*store
	version int
}

func (c *chain) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	ps, err := c.store.Pages(ctx, q)
	c.version++
	for i := range ps {
		ps[i].Version = c.version
	}
	return ps, err
}

func (c *chain) Now() time.Time { return at }

func (c *chain) Status() (s status.Status) {
	fill(reflect.ValueOf(&s).Elem())
	s.Problems = []string{"+33639980001 is wrong"}
	return s
}

func (c *chain) Heartbeats(context.Context) (all []status.Heartbeat, err error) {
	fill(reflect.ValueOf(&all).Elem())
	all[0].Name = "of +33639980001"
	return all, nil
}

func (c *chain) Preview(string, []byte, string) (any, error) {
	return map[string]string{"text": "call +33639980001"}, nil
}

func (c *chain) Act(context.Context, command.Act) (command.Acted, error) {
	return command.Acted{Page: c.pages[0], Done: true}, nil
}

func (c *chain) Call(context.Context, api.Call) (api.Called, int, error) {
	return api.Called{Status: "accepted"}, 200, nil
}

// fill sets every time in a value to at; each list and each pointer gets an element.
func fill(v reflect.Value) {
	switch {
	case v.Type().ConvertibleTo(reflect.TypeFor[time.Time]()):
		v.Set(reflect.ValueOf(at).Convert(v.Type()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	}
}

var (
	aTime    = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)
	contract = regexp.MustCompile(`^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"$`)
)

// TestTimes: every time in a response of every route, and in the events, is in UTC with milliseconds, even
// if the last of them are 0.
func TestTimes(t *testing.T) {
	cfg, err := config.Parse("smspager.yml", []byte(`
textinghouse: {user: acme, password: secret}
contacts: [{name: alice, number: "+33639980001"}]
rotas: [{name: primary, timezone: Europe/Paris, turns: {start: "2026-11-02 09:00", days: 7, people: [alice]}}]
receivers: [{name: oncall, to: [alice]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	timeless := []string{"POST /api/v1/preview", "POST /api/v1/contacts/{name}/verify"}
	for _, route := range api.New(api.Options{}).Routes() {
		t.Run(route, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &chain{store: filled()}
				a := api.New(api.Options{Store: c, Contacts: &directory{roster: people.NewRoster(cfg, nil)}, State: c, Actor: c, Caller: c, Logger: slog.New(slog.DiscardHandler)})
				defer a.Close()
				method, path, _ := strings.Cut(route, " ")
				id := "P2"
				if strings.Contains(path, "messages") {
					id = "01"
				}
				body := `{"version":1,"by":"alice"}`
				switch {
				case route == "POST /api/v1/pages":
					body = `{"to":"oncall","text":"x"}`
				case route == "POST /api/v1/preview":
					body = `{"payload":{}}`
				case strings.HasSuffix(path, "/silence"):
					body = `{"version":1,"by":"alice","for":"2h"}`
				case strings.HasSuffix(path, "/note"):
					body = `{"version":1,"by":"alice","text":"x"}`
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // ends the events
				defer cancel()
				r := httptest.NewRequest(method, strings.NewReplacer("{id}", id, "{name}", "alice").Replace(path), strings.NewReader(body))
				w := httptest.NewRecorder()
				a.ServeHTTP(w, r.WithContext(access.With(ctx, access.Caller{Role: config.Admin})))
				times := aTime.FindAllString(w.Body.String(), -1)
				if w.Code != 200 || (len(times) == 0) != slices.Contains(timeless, route) {
					t.Errorf("%s responds %d with %d times: %s", route, w.Code, len(times), w.Body)
				}
				for _, shown := range times {
					if !contract.MatchString(shown) {
						t.Errorf("%s has the time %s", route, shown)
					}
				}
			})
		})
	}
}

// TestNumbersOfTheChain: only admins see whole numbers in what others write, such as templates and calendars.
func TestNumbersOfTheChain(t *testing.T) {
	for route, body := range map[string]string{"GET status": "", "GET heartbeats": "", "POST preview": `{"payload":{}}`} {
		for _, role := range []config.Role{config.Viewer, config.Responder, config.Admin} {
			a := api.New(api.Options{State: new(chain)})
			method, path, _ := strings.Cut(route, " ")
			r := httptest.NewRequest(method, "/api/v1/"+path, strings.NewReader(body))
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r.WithContext(access.With(t.Context(), access.Caller{Login: "eve", Role: role})))
			if whole := strings.Contains(w.Body.String(), "+33639980001"); w.Code != 200 || whole != (role == config.Admin) {
				t.Errorf("%s as %s: %d %s", route, role, w.Code, w.Body)
			}
		}
	}
}
