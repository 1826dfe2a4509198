package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func TestDemoOnCall(t *testing.T) {
	code, out, stderr := smspager(t, "", "demo", "--on-call")
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, stderr, out)
	}
	for _, want := range []string{"No answer from alice. OK? Re ", "is yours: CRITICAL", "bob has ", "RESOLVED KubePod", "DEAD heartbeat prometheus", "ALIVE heartbeat prometheus", "acknowledged     bob", "smspager page "} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not show %q:\n%s", want, out)
		}
	}
}

// onCallProcess starts smspager serve with a simulator that calls back to it.
func onCallProcess(t *testing.T, tail string) (*process, *textinghousetest.Server, string) {
	t.Helper()
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	t.Cleanup(sim.Close)
	file := configFile(t, sim, tail)
	p := serveProcess(t, file)
	sim.Update(sim.ClientOptions().User, func(a *textinghousetest.Account) {
		a.ReceiptURL, a.ReplyURL = p.url+"/textinghouse/"+callbackToken+"/dlr", p.url+"/textinghouse/"+callbackToken+"/mo"
	})
	return p, sim, file
}

const onCallTeam = `
contacts:
  - {name: alice, number: "+33612345678"}
  - {name: bob, number: "+33612345679"}
receivers:
  - {name: sms, to: [alice], limits: [], escalate: [{after: 1s, to: [bob]}]}
`

func next(t *testing.T, phone *textinghousetest.Phone, want string) textinghousetest.SMS {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sms, err := phone.Next(ctx)
	if err != nil || !strings.Contains(sms.Text, want) {
		t.Fatalf("the phone gets %q (%v), want %q", sms.Text, err, want)
	}
	return sms
}

func say(t *testing.T, phone *textinghousetest.Phone, text string) {
	t.Helper()
	if err := phone.Reply(text); err != nil {
		t.Fatal(err)
	}
}

func TestPagesAndVerify(t *testing.T) {
	p, sim, file := onCallProcess(t, onCallTeam)
	if code, out, _ := smspager(t, "", "pages", "--url="+p.url); code != 0 || out != "No pages.\n" {
		t.Errorf("pages without any page exits with %d: %s", code, out)
	}
	alice, bob := sim.Phone("+33612345678"), sim.Phone("+33612345679")
	if _, code := post(p.url, notification(1)); code != http.StatusOK {
		t.Fatalf("the notification gets %d", code)
	}
	next(t, alice, "Re ")
	text := next(t, bob, "No answer from alice. OK? Re ").Text
	code := text[len(text)-4:]
	say(t, bob, "ok")
	next(t, bob, "OK, "+code+" is yours")

	exit, out, _ := smspager(t, "", "pages", "--url="+p.url, "--state=current")
	if exit != 0 || !strings.HasPrefix(out, code+" ") || !strings.Contains(out, "acknowledged, bob ") || !strings.Contains(out, "CRITICAL Alert1  (sms)") {
		t.Errorf("pages exits with %d: %s", exit, out)
	}
	if exit, out, _ := smspager(t, "", "pages", "--url="+p.url, "--state=open"); exit != 0 || out != "No pages.\n" {
		t.Errorf("pages of another state exits with %d: %s", exit, out)
	}
	exit, out, _ = smspager(t, "", "page", "--url="+p.url, code)
	for _, want := range []string{"CRITICAL Alert1, code " + code + ", receiver sms: acknowledged", "acknowledged by bob, ", "escalated", "paged            bob", "text delivered   +33612345679", "reply            +33612345679   ok"} {
		if exit != 0 || !strings.Contains(out, want) {
			t.Errorf("page exits with %d, without %q:\n%s", exit, want, out)
		}
	}
	exit, out, _ = smspager(t, "", "page", "--url="+p.url, "--output=json", code)
	var page pageJSON
	if err := json.Unmarshal([]byte(out), &page); err != nil || exit != 0 || page.Code != code || len(page.Messages) != 4 {
		t.Errorf("page exits with %d: %s", exit, out)
	}
	if exit, _, stderr := smspager(t, "", "page", "--url="+p.url, "nope"); exit != 1 || !strings.Contains(stderr, "no page has this id or code") {
		t.Errorf("an unknown page exits with %d: %s", exit, stderr)
	}

	// alice confirms her phone; check-config shows it.
	verified := make(chan int, 1)
	go func() {
		code, _, _ := smspager(t, "", "verify", "--url="+p.url, "alice", "--wait")
		verified <- code
	}()
	var asks textinghousetest.SMS
	for asks = next(t, alice, ""); !strings.HasPrefix(asks.Text, "smspager: reply "); asks = next(t, alice, "") {
	}
	say(t, alice, strings.Fields(asks.Text)[2])
	if code := <-verified; code != 0 {
		t.Errorf("verify exits with %d", code)
	}
	if code, _, stderr := smspager(t, "", "verify", "--url="+p.url, "bob", "--wait", "--wait.timeout=100ms"); code != exitOpen || !strings.Contains(stderr, "no reply from bob within 100ms") {
		t.Errorf("verify without a reply exits with %d: %s", code, stderr)
	}
	if code, _, stderr := smspager(t, "", "pages", "--url=localhost:9879"); code != 1 || !strings.Contains(stderr, "--url must be a URL such as http://127.0.0.1:9879") {
		t.Errorf("a URL without a scheme exits with %d: %s", code, stderr)
	}
	if code, _, stderr := smspager(t, "", "page", "--url=http://127.0.0.1:1", code); code != 1 || !strings.Contains(stderr, "smspager serve does not respond at http://127.0.0.1:1 (--url)") {
		t.Errorf("if nothing listens, page exits with %d: %s", code, stderr)
	}
	if code, _, stderr := smspager(t, "", "verify", "--url="+p.url, "carol"); code != 1 || !strings.Contains(stderr, "no contact has this name") {
		t.Errorf("verify of an unknown contact exits with %d: %s", code, stderr)
	}
	next(t, bob, "smspager: reply ")
	say(t, bob, "STOP")
	next(t, bob, "You get no more texts")
	testwait.Until(t, func() error {
		if exit, out, _ = smspager(t, "", "check-config", file); !strings.Contains(out, "STOPPED") {
			return errors.New(out)
		}
		return nil
	})
	if exit != 0 || strings.Contains(out, "contact alice") || !strings.Contains(out, "contact bob: has STOPPED texts, on ") {
		t.Errorf("check-config exits with %d: %s", exit, out)
	}
}

func TestWhoAndCheckConfigShowDuty(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "smspager.yml")
	writeFile(t, filepath.Join(dir, "second.ics"), "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:bob\r\nDTSTART:20261224T080000Z\r\nDTEND:20261226T080000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
	writeFile(t, file, `
textinghouse: {user: acme, password: x, callback_token: 0123456789abcdef}
contacts:
  - {name: alice, number: "+33612345678"}
  - {name: bob, number: "+33612345679"}
rotas:
  - {name: primary, turns: {start: 2026-11-02 09:00, people: [alice, bob]}}
  - {name: second, calendar: second.ics, default: [alice]}
receivers:
  - {name: sms, to: ["rota:primary"], escalate: [{after: 5m, to: ["rota:second"]}]}
`)
	code, out, stderr := smspager(t, "", "who", "-c", file, "--at=2026-12-24T18:00:00Z")
	if want := "primary: bob, until " + localTime(t, "2026-12-28T09:00:00Z") + "\nsecond: bob, until " + localTime(t, "2026-12-26T08:00:00Z") + "\n"; code != 0 || out != want {
		t.Errorf("who exits with %d: %s%s, want %s", code, out, stderr, want)
	}
	code, out, _ = smspager(t, "", "who", "-c", file, "--at=2026-12-23T18:00:00Z", "--output=json")
	var on []onDuty
	if err := json.Unmarshal([]byte(out), &on); err != nil || code != 0 || len(on) != 2 || !on[1].Gap || on[1].Contacts[0] != "alice" {
		t.Errorf("who exits with %d: %s", code, out)
	}
	if code, _, stderr := smspager(t, "", "who", "-c", file, "--at=soon"); code != 1 || !strings.Contains(stderr, "--at must be a time such as") {
		t.Errorf("a wrong --at exits with %d: %s", code, stderr)
	}
	code, out, stderr = smspager(t, "", "check-config", file)
	for _, want := range []string{"valid, 1 receiver", "contact alice: not verified; while smspager serve runs, run: smspager verify alice", "rota primary:\n", "rota second:\n", "GAP, default alice"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("check-config exits with %d, without %q: %s%s", code, want, out, stderr)
		}
	}
	writeFile(t, filepath.Join(dir, "second.ics"), "nonsense")
	if code, _, stderr := smspager(t, "", "check-config", file); code != 1 || !strings.Contains(stderr, `rota "second": not an iCalendar file`) {
		t.Errorf("a broken calendar exits with %d: %s", code, stderr)
	}
	if code, out, _ := smspager(t, "", "who", "-c", file); code != 0 || !strings.Contains(out, "second: unknown, because its calendar cannot be read; default alice, until ") {
		t.Errorf("who with a broken calendar exits with %d: %s", code, out)
	}
	// Times are in the rota's zone, if it has one. Contacts that share a phone are reported.
	writeFile(t, file, `
textinghouse: {user: acme, password: x}
contacts:
  - {name: alice, number: "+33612345678"}
  - {name: bob, number: "+33612345678"}
rotas: [{name: primary, timezone: Asia/Tokyo, turns: {start: 2026-11-02 09:00, people: [alice, bob]}}]
receivers: [{name: sms, to: ["rota:primary"]}]
`)
	if _, out, _ := smspager(t, "", "who", "-c", file, "--at=2026-12-24T18:00:00Z"); out != "primary: bob, until Mon 28 Dec 09:00 JST\n" {
		t.Errorf("who in Tokyo: %s", out)
	}
	if code, _, stderr := smspager(t, "", "check-config", file); code != 0 || !strings.Contains(stderr, "contacts alice and bob have the same number; its replies count as alice's") {
		t.Errorf("check-config exits with %d: %s", code, stderr)
	}
}

func localTime(t *testing.T, s string) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.Local().Format(shiftLayout)
}

// TestSilencesInAlertmanager: a reply creates a silence in a real Alertmanager, which its API
// shows, and undo expires it.
func TestSilencesInAlertmanager(t *testing.T) {
	realpart.Program(t, "prometheus-alertmanager", "apt-get install prometheus-alertmanager")
	address := freeAddress(t)
	p, sim, _ := onCallProcess(t, onCallTeam+"alertmanager: {urls: [\"http://127.0.0.1:1\", \"http://"+address+"/\"]}\n")
	am := startAlertmanagerAt(t, address, "sms", p.url+"/alertmanager", "")
	phone := sim.Phone("+33612345678")
	am.alert(time.Now().Add(time.Hour))
	next(t, phone, "CRITICAL DiskFull")
	say(t, phone, "s 2h")
	text := next(t, phone, "Silenced ").Text
	code := strings.Fields(text)[1]

	var silences []struct {
		Status    struct{ State string }
		CreatedBy string
		Comment   string
		Matchers  []struct {
			Name, Value      string
			IsRegex, IsEqual bool
		}
		StartsAt, EndsAt time.Time
	}
	am.get(t, "/api/v2/silences", &silences)
	if len(silences) != 1 || silences[0].Status.State != "active" || silences[0].CreatedBy != "alice" || !strings.Contains(silences[0].Comment, code) || len(silences[0].Matchers) != 3 {
		t.Fatalf("the silences are %+v", silences)
	}
	for _, m := range silences[0].Matchers {
		want := map[string]string{"alertname": "DiskFull", "severity": "critical", "instance": "db-1:9100"}[m.Name]
		if m.Value != want || m.IsRegex || !m.IsEqual {
			t.Errorf("a matcher is %+v", m)
		}
	}
	if d := silences[0].EndsAt.Sub(silences[0].StartsAt).Round(time.Second); d != 2*time.Hour {
		t.Errorf("the silence lasts %s", d)
	}
	var alerts []struct {
		Status struct {
			State      string
			SilencedBy []string
		}
	}
	testwait.Until(t, func() error {
		am.get(t, "/api/v2/alerts", &alerts)
		if len(alerts) != 1 || alerts[0].Status.State != "suppressed" || len(alerts[0].Status.SilencedBy) != 1 {
			return fmt.Errorf("the alerts are %+v", alerts)
		}
		return nil
	})
	say(t, phone, "UNDO")
	next(t, phone, "Undone: "+code+" is open and not silenced")
	am.get(t, "/api/v2/silences", &silences)
	if len(silences) != 1 || silences[0].Status.State != "expired" {
		t.Errorf("the silences are %+v", silences)
	}
	next(t, sim.Phone("+33612345679"), "No answer from alice") // the escalation continues
}

// get reads the response of Alertmanager's API.
func (am *alertmanager) get(t *testing.T, path string, v any) {
	t.Helper()
	resp, err := http.Get("http://" + am.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(body, v) != nil {
		t.Fatalf("%s responds %s (%v)", path, body, err)
	}
}

// TestSimulatedPhonesReply: lines on standard input are replies.
func TestSimulatedPhonesReply(t *testing.T) {
	replies := make(chan string, 1)
	sink := http.Server{Addr: freeAddress(t), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		replies <- string(body)
	})}
	go func() { _ = sink.ListenAndServe() }()
	defer sink.Close()
	address := freeAddress(t)
	cmd := command("simulate", "--listen="+address, "--replies=http://"+sink.Addr+"/mo")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	file := filepath.Join(t.TempDir(), "smspager.yml")
	writeFile(t, file, "textinghouse: {user: acme, password: test, endpoints: [\"http://"+address+"/http/v1/do\"]}\nreceivers: [{name: r, to: [\"999\"]}]\n")
	testwait.Until(t, func() error {
		if code, _, stderr := smspager(t, "", "send", "-c", file, "--to=+33612345678", "a page"); code != 0 {
			return errors.New(stderr)
		}
		return nil
	})
	if _, err := io.WriteString(in, "+33612345679 nobody\n\n+33612345678 ok 4821\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case body := <-replies:
		if !strings.Contains(body, `"from":"33612345678"`) || !strings.Contains(body, `"txt":"ok 4821"`) {
			t.Errorf("the reply is %s", body)
		}
	case <-time.After(time.Minute):
		t.Error("no reply is called back")
	}
}
