package receiver_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// elsewhere is a shared store whose clock is ahead of this machine's. It records the times that come
// from another clock.
type elsewhere struct {
	outbox.Store
	ahead time.Duration

	mu    sync.Mutex
	wrong []string
}

func (s *elsewhere) now() time.Time { return time.Now().Round(0).Add(s.ahead) }

func (s *elsewhere) Now(context.Context) (time.Time, error) { return s.now(), nil }

func (s *elsewhere) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	for _, m := range e.Messages {
		s.look("the id of "+m.Text, outbox.MadeAt(m.ID))
	}
	for _, p := range e.AllPages() {
		s.look("the id of a page", outbox.MadeAt(p.ID))
	}
	s.search("entry", reflect.ValueOf(e))
	return s.Store.Add(ctx, e)
}

func (s *elsewhere) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	s.look("a query for pages", q.DueBy)
	return s.Store.Pages(ctx, q)
}

func (s *elsewhere) Segments(ctx context.Context, since time.Time) (int, error) {
	s.look("a query for segments", since)
	return s.Store.Segments(ctx, since)
}

func (s *elsewhere) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	s.look("a prune", before)
	return s.Store.Prune(ctx, before, limit)
}

func (s *elsewhere) Lead(ctx context.Context) (outbox.Lease, func(), error) {
	return held{ctx}, func() {}, nil
}

func (s *elsewhere) Listen(ctx context.Context, ready func(), _ func(outbox.Hint)) error {
	ready()
	<-ctx.Done()
	return ctx.Err()
}

// held is a lease that is valid for ever.
type held struct{ context.Context }

func (held) Valid() bool { return true }
func (held) Term() int64 { return 1 }

// look records a time that is nearer to this machine's clock than to the store's.
func (s *elsewhere) look(what string, at time.Time) {
	if at.IsZero() || at.Sub(s.now()).Abs() < s.ahead.Abs()/2 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf("%s is %s", what, at))
}

var stamps = regexp.MustCompile(`"(\w+)":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"]*)"`)

// search calls look for each time in a value, also in its JSON.
func (s *elsewhere) search(what string, v reflect.Value) {
	if at, ok := v.Interface().(time.Time); ok {
		s.look(what, at)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			s.search(what, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			s.search(what+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				s.search(what, v.Index(i))
			}
			return
		}
		for _, found := range stamps.FindAllStringSubmatch(string(v.Bytes()), -1) {
			if at, err := time.Parse(time.RFC3339Nano, found[2]); err == nil {
				s.look(what+" "+found[1], at)
			}
		}
	}
}

// TestReplicasUseTheDatabasesClock: a replica uses the database's clock for everything that it stores and
// decides, and reports that its own clock differs.
func TestReplicasUseTheDatabasesClock(t *testing.T) {
	const tail = `
heartbeats: [{name: prometheus, receiver: watchdog, timeout: 1m, to: ["` + bob + `"]}]
probe: {interval: 1m}
contacts:
  - {name: alice, number: "` + alice + `"}
  - {name: bob, number: "` + bob + `"}
receivers:
  - {name: sms, to: [alice], escalate: [{after: 1s, to: [bob]}]}
`
	for name, ahead := range map[string]time.Duration{"behind": 1000 * 24 * time.Hour, "ahead of": -1000 * 24 * time.Hour} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			raw, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"))
			if err != nil {
				t.Fatal(err)
			}
			store := &elsewhere{Store: raw, ahead: ahead}
			c := &chain{t: t, sim: textinghousetest.NewServer(textinghousetest.Options{}), file: filepath.Join(t.TempDir(), "smspager.yml"), store: store}
			t.Cleanup(c.sim.Close)
			c.write(tail)
			c.run()
			t.Cleanup(func() { c.stop() })
			c.untilLeading()

			fires := strings.ReplaceAll(notification("DiskFull"), "2026-11-23T19:24:46Z", store.now().UTC().Format(time.RFC3339))
			c.post("/alertmanager/watchdog", fires)
			c.until(c.post("/alertmanager/sms", fires).Messages[0], "delivered")
			if again := c.post("/alertmanager/sms", fires); again.Status != "duplicate" {
				t.Errorf("a copy is %s", again.Status)
			}
			testwait.Until(t, func() error { // the step is due by the database's clock
				for _, m := range c.sim.Messages() {
					if "+"+m.To == bob && strings.Contains(m.Text, "DiskFull") {
						return nil
					}
				}
				return fmt.Errorf("bob has no page: %+v", c.sim.Messages())
			})
			if err := c.sim.Reply(strings.TrimPrefix(alice, "+"), "ok"); err != nil {
				t.Fatal(err)
			}
			if code, text := c.do("POST", "/api/v1/contacts/alice/verify", ""); code >= http.StatusMultipleChoices && code != http.StatusForbidden && code != http.StatusUnauthorized {
				t.Errorf("verify responds %d %s", code, text)
			}
			if _, text := c.do("GET", "/-/ready", ""); !strings.Contains(text, "24000h0m0s "+name+" the database's") {
				t.Errorf("ready says %s", text)
			}
			testwait.Until(t, func() error {
				ps, err := raw.Pages(t.Context(), outbox.PageQuery{Limit: 2})
				if err != nil || len(ps) != 1 || ps[0].State != outbox.PageAcknowledged {
					return fmt.Errorf("the pages are %+v, %v", ps, err)
				}
				return nil
			})
			c.stop()
			for _, wrong := range store.wrong {
				t.Error(wrong)
			}
		})
	}
}

// TestRoomsHaveOneClock: rooms that store times, or compare stored ones, read the spool's clock and no
// other, except for a few files.
func TestRoomsHaveOneClock(t *testing.T) {
	own := map[string]string{
		"internal/delivery/account.go": "compares its times with how long requests took, which the database's clock does not show",
		"internal/delivery/clock.go":   "compares the clocks",
		"internal/people/calendar.go":  "reads calendars without a spool, too",
	}
	clock := regexp.MustCompile(`time\.(Now|Since|Until)\(|\w+ :?= <-[\w.]+\.C\b`)
	for _, room := range []string{"delivery", "oncall", "oncall/page", "intake", "watch", "people"} {
		files, err := filepath.Glob("internal/" + room + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no files: %v", room, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || own[file] != "" {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if found := clock.Find(source); found != nil {
				t.Errorf("%s has %s: use the spool's Now", file, found)
			}
		}
	}
}
