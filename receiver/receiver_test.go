package receiver_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
	"github.com/smspager/smspager/templating/gsm7"
)

const captured = `
receivers:
  - {name: sms, to: ["` + alice + `"], limits: []}
  - {name: sms-oncall, to: ["` + alice + `"], limits: []}
  - {name: sms.oncall+primary, to: ["` + alice + `"], limits: []}
  - {name: sms/team-db, to: ["` + alice + `"], to_label: oncall_phone, limits: []}
`

// TestEveryPayload takes each captured payload from the webhook to the receipt.
func TestEveryPayload(t *testing.T) {
	names, err := filepath.Glob("testdata/payloads/*.json")
	if err != nil || len(names) != 15 {
		t.Fatalf("%d payloads, %v", len(names), err)
	}
	c := start(t, textinghousetest.Options{}, captured)
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			a := c.post("/alertmanager", payload(t, filepath.Join("payloads", filepath.Base(name))))
			if strings.Contains(name, "13-ha-replica-1") {
				if a.Status != "duplicate" {
					t.Errorf("the other replica's notification gives %+v", a)
				}
				return
			}
			want := []string{alice}
			if strings.Contains(name, "15-") {
				want = append(want, "+33639981234")
			}
			if a.Status != "accepted" || len(a.Messages) != len(want) {
				t.Fatalf("the response is %+v", a)
			}
			for i, id := range a.Messages {
				m := c.until(id, "delivered")
				if m.To != want[i] || m.Segments > 2 || m.Encoding != gsm7.GSM7 || m.Attempts != 1 || c.sim.TimesAccepted(id) != 1 {
					t.Errorf("the message is %+v, accepted %d times", m, c.sim.TimesAccepted(id))
				}
			}
		})
	}
}

func TestGrafana(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	a := c.post("/alertmanager/sms", payload(t, "grafana.json"))
	m := c.until(a.Messages[0], "delivered")
	if want := "FIRING High memory usage: us-1: The system has high memory usage"; !strings.HasPrefix(m.Text, want) {
		t.Errorf("the text is %q, want %q first", m.Text, want)
	}
}

func TestDuplicatesAcrossARestart(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	first := c.post("/alertmanager/sms", payload(t, "payloads/01-single-firing-critical.json"))
	c.until(first.Messages[0], "delivered")
	c.stop()
	c.run()
	again := c.post("/alertmanager/sms", payload(t, "payloads/01-single-firing-critical.json"))
	if again.Status != "duplicate" || !slices.Equal(again.Messages, first.Messages) || c.metric(`smspager_duplicates_total{by="store"}`) != "1" {
		t.Errorf("after a restart the repeat gives %+v, the first gave %+v", again, first)
	}
}

func TestSimultaneousNotificationsAreSentOnce(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	body := payload(t, "payloads/01-single-firing-critical.json")
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[string]int{}
	ids := map[string]bool{}
	for range 32 {
		wg.Go(func() {
			_, text := c.do("POST", "/alertmanager", body)
			var a response
			mu.Lock()
			defer mu.Unlock()
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				t.Error(err)
			}
			statuses[a.Status]++
			ids[fmt.Sprint(a.Messages)] = true
		})
	}
	wg.Wait()
	if statuses["accepted"] != 1 || statuses["duplicate"] != 31 || len(ids) != 1 {
		t.Errorf("the responses are %v for %v", statuses, ids)
	}
}

func TestRecipients(t *testing.T) {
	c := start(t, textinghousetest.Options{}, `
contacts:
  - {name: alice, number: "`+alice+`"}
  - {name: bob, number: "`+bob+`"}
receivers:
  - {name: r, to: [alice, "`+alice+`", "999"], to_label: page}
`)
	a := c.post("/alertmanager/r", `{"version":"4","status":"firing","groupKey":"g","alerts":[
		{"status":"firing","labels":{"page":"bob, +1 (202) 555-0143"}},
		{"status":"firing","labels":{},"annotations":{"page":"alice; nobody, 0612345678,"}}]}`)
	var to []string
	for _, id := range a.Messages {
		to = append(to, c.until(id, "delivered").To)
	}
	if want := []string{alice, "999", bob, "+12025550143"}; !slices.Equal(to, want) {
		t.Errorf("sent to %v, want %v", to, want)
	}
	if n := c.metric(`smspager_bad_recipients_total{receiver="r"}`); n != "2" {
		t.Errorf("%s bad recipients are counted, want 2", n)
	}
}

func TestResolvedAlertsAreLeftOut(t *testing.T) {
	c := start(t, textinghousetest.Options{}, "receivers:\n  - {name: sms-oncall, to: [\""+alice+"\"], send_resolved: false}\n")
	m := c.until(c.post("/alertmanager", payload(t, "payloads/05-some-resolved-mixed.json")).Messages[0], "delivered")
	if strings.Contains(strings.ToLower(m.Text), "resolved") || !strings.Contains(m.Text, "2 firing") {
		t.Errorf("the text is %q", m.Text)
	}
}

func TestCutAlertsMayStillFire(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	m := c.until(c.post("/alertmanager", payload(t, "payloads/09-truncation-hides-firing.json")).Messages[0], "delivered")
	if strings.HasPrefix(m.Text, "RESOLVED") || !strings.Contains(m.Text, "35 more may still fire") {
		t.Errorf("the text is %q", m.Text)
	}
}

func TestProbeAndCredit(t *testing.T) {
	c := start(t, textinghousetest.Options{}, "probe: {interval: 1m}\n"+simple)
	sms, err := c.sim.Phone("999").Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	c.until(sms.ClientID, "delivered")
	for name, want := range map[string]string{`smspager_probes_total{state="delivered"}`: "1", "smspager_credit": "1e+06"} {
		testwait.Until(t, func() error {
			if got := c.metric(name); got != want {
				return fmt.Errorf("%s is %s, want %s", name, got, want)
			}
			return nil
		})
	}
}

func TestReplyFromAPhone(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	id := c.post("/alertmanager", payload(t, "payloads/01-single-firing-critical.json")).Messages[0]
	phone := c.sim.Phone(alice)
	if _, err := phone.Next(within(t)); err != nil {
		t.Fatal(err)
	}
	c.until(id, "delivered")
	if err := phone.Reply("ok, on it"); err != nil {
		t.Fatal(err)
	}
	if err := c.sim.WaitCallbacks(within(t), 2); err != nil {
		t.Fatal(err)
	}
	events := c.message(id).Events
	if last := events[len(events)-1]; last.Type != "reply" || last.Detail != "ok, on it" {
		t.Errorf("the last event is %+v", last)
	}
}

func TestCallbackFaults(t *testing.T) {
	for _, f := range []textinghousetest.Fault{
		{Kind: textinghousetest.CallbackRepeat, N: 3}, {Kind: textinghousetest.CallbackReorder, Times: 1}, {Kind: textinghousetest.CallbackLost, Times: 1},
	} {
		t.Run(string(f.Kind), func(t *testing.T) {
			c := start(t, textinghousetest.Options{}, simple)
			c.sim.Update("acme", func(a *textinghousetest.Account) { a.AllReceipts = true })
			c.sim.AddFault(f)
			id := c.post("/alertmanager", payload(t, "payloads/01-single-firing-critical.json")).Messages[0]
			m := c.until(id, "delivered")
			if m.APIID == "" {
				t.Errorf("the message has no api_id: %+v", m)
			}
		})
	}
}

func TestFailedDeliveryIsReportedWithItsReason(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	c.sim.Outcome(alice, textinghouse.StatusExpired)
	m := c.until(c.post("/alertmanager", payload(t, "payloads/01-single-firing-critical.json")).Messages[0], "failed")
	if last := m.Events[len(m.Events)-1]; !strings.Contains(last.Detail, "expired or out of reach") {
		t.Errorf("the last event is %+v", last)
	}
}

// TestTimeZoneData: a metric shows which release of the time zone data is in use.
func TestTimeZoneData(t *testing.T) {
	zones := zoneinfo.InUse()
	if got := start(t, textinghousetest.Options{}, simple).metric(fmt.Sprintf("smspager_tzdata_info{release=%q,source=%q}", zones.Release, zones.Source)); got != "1" {
		t.Errorf("smspager_tzdata_info is %s, want 1", got)
	}
}
