package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// fake is a store and a provider controlled by the test.
type fake struct {
	outbox.Store
	spool *spool.Spool

	mu       sync.Mutex
	storeErr error
	sendErr  error
	added    []outbox.Entry
	sentNow  [][]string // the IDs of messages handed over without being stored
	handed   []string
	enter    chan struct{} // if set, Add waits until it is closed

	knows       bool                           // Alertmanager lists all firing alerts
	fires       bool                           // Alertmanager lists the alerts of notifications
	groups      map[outbox.Key]outbox.Sighting // nil: nothing is a duplicate
	duplicateOf []string                       // if set, every entry is a duplicate of these
}

func (f *fake) Add(_ context.Context, n outbox.Entry) (outbox.Added, error) {
	if f.enter != nil {
		<-f.enter
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.storeErr != nil {
		return outbox.Added{}, f.storeErr
	}
	if f.duplicateOf != nil {
		return outbox.Added{Duplicate: true, IDs: f.duplicateOf}, nil
	}
	if latest, ok := f.groups[n.Key]; ok && latest.Repeats(&n) {
		latest.Join(&n)
		f.groups[n.Key] = latest
		return latest.Duplicate(&n), nil
	} else if f.groups != nil {
		f.groups[n.Key] = latest.Next(&n)
	}
	f.added = append(f.added, n)
	return outbox.Added{IDs: ids(n.Messages)}, nil
}

func (f *fake) Pages(context.Context, outbox.PageQuery) ([]outbox.Page, error) { return nil, nil }

func (f *fake) MarksAfter(context.Context, time.Time) ([]outbox.Mark, error) { return nil, nil }

func (f *fake) List(context.Context, outbox.Query) ([]outbox.Message, error) { return nil, nil }

func (f *fake) Close() error { return nil }

// handover sends the messages that are not stored.
func (f *fake) handover(direct bool, ms ...outbox.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !direct {
		f.handed = append(f.handed, ids(ms)...)
		return
	}
	f.sentNow = append(f.sentNow, ids(ms))
	for i, m := range ms {
		c := outbox.ProviderAccepted(m.ID, "", time.Now(), "")
		if f.sendErr != nil && i > 0 { // one of them is accepted
			c = outbox.Returned(m.ID, time.Now(), f.sendErr.Error())
		}
		go f.spool.Record(context.Background(), c, nil)
	}
}

func (f *fake) set(storeErr, sendErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.storeErr, f.sendErr = storeErr, sendErr
}

// fake is also an OnCall without pages.
func (f *fake) People(to []config.Recipient, _ []string, _ time.Time) (people []outbox.Person) {
	for _, r := range to {
		people = append(people, outbox.Person{Number: r.Number})
	}
	return people
}

func (f *fake) Named(name string) (config.Recipient, bool) {
	number, err := e164.Parse(name)
	return config.Recipient{Number: number}, err == nil
}

func (f *fake) Decide(_ context.Context, _ string, _ *templating.Notification, to []outbox.Person, _ time.Time) (outbox.PageUpdate, error) {
	return outbox.PageUpdate{To: to}, nil
}

func (f *fake) Has(context.Context, string, *templating.Notification) bool { return true }

func (f *fake) Fires(context.Context, *templating.Notification) (fires, known bool) {
	return f.fires, f.knows
}

func (f *fake) Beat(context.Context, string, *templating.Notification, time.Time) bool { return false }

func ids(ms []outbox.Message) (all []string) {
	for _, m := range ms {
		all = append(all, m.ID)
	}
	return all
}

func newIntake(t testing.TB, f *fake) *intake.Intake {
	t.Helper()
	return newReplica(t, f, false)
}

// newReplica returns one of several processes that share the fake, or the only one.
func newReplica(t testing.TB, f *fake, shared bool) *intake.Intake {
	t.Helper()
	sp, err := spool.New(spool.Options{Open: func(context.Context) (outbox.Store, error) { return f, nil }, Handover: f.handover, Shared: shared})
	if err != nil {
		t.Fatal(err)
	}
	f.spool = sp
	t.Cleanup(func() {
		f.set(nil, nil)
		if err := sp.Close(); err != nil {
			t.Error(err)
		}
	})
	in := intake.New(intake.Options{Spool: sp, OnCall: f, Shared: shared, IDs: outbox.NewIDs(), Logger: slog.New(slog.DiscardHandler)})
	in.Configure(settings(t))
	return in
}

func defaultText(t testing.TB) *templating.Text {
	t.Helper()
	set, err := templating.New(templating.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.Text(`{{ template "sms.default" . }}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t testing.TB, body string) templating.Notification {
	t.Helper()
	n, err := intake.Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const firing = `{"version":"4","status":"firing","groupKey":"g","notification_reason":"first notification","alerts":[{"status":"firing","labels":{"alertname":"A"}}]}`

// TestFailOpen: messages are sent immediately if the store fails. After a partial failure, a
// repeated notification sends only the rest.
func TestFailOpen(t *testing.T) {
	f := &fake{storeErr: errors.New("disk full"), sendErr: errors.New("provider down")}
	in := newIntake(t, f)
	if _, err := in.Notify(context.Background(), "sms", decode(t, firing)); err == nil || !strings.Contains(err.Error(), "disk full") || !strings.Contains(err.Error(), "provider down") {
		t.Errorf("without store and provider, the error is %v", err)
	}
	f.set(f.storeErr, nil)
	result, err := in.Notify(context.Background(), "sms", decode(t, firing))
	if err != nil || result.Status != intake.Accepted || !slices.Equal(result.Messages, f.sentNow[0]) {
		t.Errorf("with only the provider, the result is %+v, %v", result, err)
	}
	if !slices.Equal(f.sentNow[0][1:], f.sentNow[1]) {
		t.Errorf("the repeat does not send only the rest: %v", f.sentNow)
	}
	again, err := in.Notify(context.Background(), "sms", decode(t, firing))
	if err != nil || again.Status != intake.Duplicate || !slices.Equal(again.Messages, result.Messages) || len(f.sentNow) != 2 {
		t.Errorf("the repeat gives %+v, %v", again, err)
	}
}

// TestStoreComesBack: messages that were sent while the store failed are later stored with their states.
func TestStoreComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{storeErr: errors.New("disk full"), sendErr: errors.New("provider down")}
		in := newIntake(t, f)
		if _, err := in.Notify(context.Background(), "sms", decode(t, firing)); err == nil {
			t.Fatal("the notification is accepted without store and provider")
		}
		f.set(nil, f.sendErr)
		result, err := in.Notify(context.Background(), "sms", decode(t, firing))
		if err != nil || !slices.Equal(result.Messages, f.sentNow[0]) || !slices.Equal(f.handed, f.sentNow[0][1:]) {
			t.Fatalf("the notification gives %+v, %v", result, err)
		}
		if ms := f.added[0].Messages; ms[0].State != outbox.Accepted || ms[1].State != outbox.Queued {
			t.Errorf("the messages are stored as %s and %s", ms[0].State, ms[1].State)
		}
	})
}

// TestSecondWaitsForTheFirst: of two simultaneous notifications, the second gets the outcome of the
// first.
func TestSecondWaitsForTheFirst(t *testing.T) {
	f := &fake{enter: make(chan struct{})}
	in := newIntake(t, f)
	results := make(chan intake.Result, 2)
	for range 2 {
		go func() {
			r, err := in.Notify(context.Background(), "sms", decode(t, firing))
			if err != nil {
				t.Error(err)
			}
			results <- r
		}()
	}
	close(f.enter)
	a, b := <-results, <-results
	if a.Status == b.Status || !slices.Equal(a.Messages, b.Messages) || len(f.added) != 1 {
		t.Errorf("the two notifications give %+v and %+v", a, b)
	}
}

func TestStopRefusesAndWaits(t *testing.T) {
	f := &fake{enter: make(chan struct{})}
	in := newIntake(t, f)
	done := make(chan error, 1)
	go func() {
		_, err := in.Notify(context.Background(), "sms", decode(t, firing))
		done <- err
	}()
	close(f.enter)
	in.Stop()
	if _, err := in.Notify(context.Background(), "sms", decode(t, firing)); !errors.Is(err, intake.ErrStopping) {
		t.Errorf("after Stop, a notification gives %v", err)
	}
	if err := <-done; err != nil && !errors.Is(err, intake.ErrStopping) {
		t.Error(err)
	}
}

// TestKeys checks which notifications count as equal.
func TestKeys(t *testing.T) {
	body := func(change func(n map[string]any)) string {
		var n map[string]any
		if err := json.Unmarshal([]byte(`{"version":"4","status":"firing","groupKey":"g","truncatedAlerts":0,"externalURL":"a","notification_reason":"first notification","alerts":[
			{"status":"firing","fingerprint":"1","startsAt":"2026-11-23T19:24:46.5Z"},{"status":"resolved","fingerprint":"2","startsAt":"2026-11-23T19:24:46Z"}]}`), &n); err != nil {
			t.Fatal(err)
		}
		change(n)
		b, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	alert := func(n map[string]any, i int) map[string]any { return n["alerts"].([]any)[i].(map[string]any) }
	for name, tc := range map[string]struct {
		same   bool
		change func(n map[string]any)
	}{
		"nothing":                    {true, func(map[string]any) {}},
		"external URL":               {true, func(n map[string]any) { n["externalURL"] = "b" }},
		"reason":                     {true, func(n map[string]any) { n["notification_reason"] = "new alerts added" }},
		"order":                      {true, func(n map[string]any) { a := n["alerts"].([]any); a[0], a[1] = a[1], a[0] }},
		"format of the time":         {true, func(n map[string]any) { alert(n, 1)["startsAt"] = "2026-11-23T20:24:46.000+01:00" }},
		"annotation":                 {true, func(n map[string]any) { alert(n, 0)["annotations"] = map[string]any{"x": "y"} }},
		"group":                      {false, func(n map[string]any) { n["groupKey"] = "h" }},
		"number of truncated alerts": {false, func(n map[string]any) { n["truncatedAlerts"] = 1 }},
		"status":                     {false, func(n map[string]any) { alert(n, 0)["status"] = "resolved" }},
		"fingerprint":                {false, func(n map[string]any) { alert(n, 0)["fingerprint"] = "3" }},
		"start":                      {false, func(n map[string]any) { alert(n, 0)["startsAt"] = "2026-11-23T19:24:46.6Z" }},
		"list, which lacks an alert": {false, func(n map[string]any) { n["alerts"] = n["alerts"].([]any)[:1] }},
	} {
		in := newIntake(t, &fake{})
		if _, err := in.Notify(context.Background(), "sms", decode(t, body(func(map[string]any) {}))); err != nil {
			t.Fatal(err)
		}
		r, err := in.Notify(context.Background(), "sms", decode(t, body(tc.change)))
		if err != nil || (r.Status == intake.Duplicate) != tc.same {
			t.Errorf("another %s: the notification is %s, %v", name, r.Status, err)
		}
	}
}

func TestDecodeFillsIn(t *testing.T) {
	n := decode(t, `{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A"}},{"status":"firing","labels":{"alertname":"B"}}]}`)
	if n.Alerts[0].Fingerprint == "" || n.Alerts[0].Fingerprint == n.Alerts[1].Fingerprint || !strings.Contains(n.GroupKey, n.Alerts[0].Fingerprint) {
		t.Errorf("fingerprints %q and %q, group key %q", n.Alerts[0].Fingerprint, n.Alerts[1].Fingerprint, n.GroupKey)
	}
	n = decode(t, `{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A","job":"x"}},{"status":"firing","labels":{"alertname":"A"}}]}`)
	if len(n.CommonLabels) != 1 || n.CommonLabels["alertname"] != "A" || n.Alerts[0].Labels["job"] != "x" {
		t.Errorf("the common labels are %v", n.CommonLabels)
	}
	n = decode(t, `{"alerts":[{"status":"firing","labels":{"alertname":"A"}}],"commonLabels":{},"status":"firing","version":4}`) // from Grafana, or from a template that renders the payload
	if n.CommonLabels["alertname"] != "A" {
		t.Errorf("the common labels are %v", n.CommonLabels)
	}
	for _, version := range []string{"4.0", "4e0", `"4.0"`, "1.0", `"4"`} {
		decode(t, `{"alerts":[{"status":"firing","labels":{"alertname":"A"}}],"status":"firing","version":`+version+`}`)
	}
	real, err := os.ReadFile(filepath.Join("..", "..", "testdata", "payloads", "01-single-firing-critical.json"))
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(real), `"fingerprint":"791c9fe9a1467b96"`, `"fingerprint":""`, 1)
	if got := decode(t, without).Alerts[0].Fingerprint; got != "791c9fe9a1467b96" {
		t.Errorf("the fingerprint is computed as %s", got)
	}
}

// FuzzDecode: no body causes a panic, and every accepted body is a notification.
func FuzzDecode(f *testing.F) {
	names, err := filepath.Glob("../../testdata/payloads/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(names, "../../testdata/grafana.json") {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"version":"4","status":"firing","alerts":[{"status":"firing","labels":[1],"startsAt":{}}],"truncatedAlerts":-1}`))
	in := newIntake(f, &fake{})
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := intake.Decode(body)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Fatalf("a long error: %v", err)
			}
			return
		}
		if len(n.Alerts) == 0 || n.GroupKey == "" || n.Status != "firing" && n.Status != "resolved" {
			t.Fatalf("%s is accepted as %+v", body, n)
		}
		if _, err := in.Notify(context.Background(), "sms", n); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	})
}

func BenchmarkDecodeAndRender(b *testing.B) {
	body, err := os.ReadFile("../../testdata/payloads/03-group-three-firing.json")
	if err != nil {
		b.Fatal(err)
	}
	in := newIntake(b, &fake{})
	for i := 0; b.Loop(); i++ {
		n, err := intake.Decode(body)
		if err != nil {
			b.Fatal(err)
		}
		n.GroupKey = fmt.Sprint(i)
		if _, err := in.Notify(context.Background(), "sms", n); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWindowCountsFromTheFirstSighting: a repeat that only the store recognizes does not begin a
// new window.
func TestWindowCountsFromTheFirstSighting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{duplicateOf: []string{"original"}}
		in := newIntake(t, f)
		first, err := in.Notify(context.Background(), "sms", decode(t, firing))
		if err != nil || first.Status != intake.Duplicate {
			t.Fatalf("the notification gives %+v, %v", first, err)
		}
		f.duplicateOf = nil // its window is over
		time.Sleep(19 * time.Minute)
		if again, err := in.Notify(context.Background(), "sms", decode(t, firing)); err != nil || again.Status != intake.Accepted {
			t.Errorf("after the window: %+v, %v", again, err)
		}
	})
}
