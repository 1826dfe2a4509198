package receiver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/postgrestest"
	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// database starts a PostgreSQL server with an empty database.
func database(t testing.TB) (server *postgrestest.Server, url string) {
	t.Helper()
	server, err := postgrestest.Start()
	if errors.Is(err, postgrestest.ErrMissing) {
		realpart.Missing(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	if url, err = server.Database(); err != nil {
		t.Fatal(err)
	}
	return server, url
}

// replica starts another receiver with the same configuration.
func (c *chain) replica() *chain {
	c.t.Helper()
	other := &chain{t: c.t, sim: c.sim, file: c.file}
	other.run()
	c.t.Cleanup(func() { other.stop() })
	return other
}

func (c *chain) leads() bool { return c.metric("smspager_leading") == "1" }

func (c *chain) untilLeading() {
	c.t.Helper()
	testwait.Until(c.t, func() error {
		if !c.leads() {
			return errors.New("it does not lead")
		}
		return nil
	})
}

func TestReplicas(t *testing.T) {
	_, url := database(t)
	one := start(t, textinghousetest.Options{}, "storage: {postgres_url: \""+url+"\"}"+simple)
	one.untilLeading()
	two := one.replica()

	// The second replica takes the webhook, the first one sends, and the second takes the receipt.
	first := two.insist("/alertmanager/sms", payload(t, "payloads/01-single-firing-critical.json"))
	began := time.Now()
	m := two.until(first.Messages[0], "delivered")
	if took := time.Since(began); took > 12*time.Second { // without the hint, up to 15 s
		t.Errorf("the message took %v: the hint does not work", took)
	}
	testwait.Until(t, func() error { // the leader stores its attempts with a delay
		if m = two.message(first.Messages[0]); m.Attempts != 1 {
			return fmt.Errorf("%d attempts", m.Attempts)
		}
		return nil
	})
	if two.leads() {
		t.Error("the second replica leads")
	}
	// A duplicate is recognized whichever replica receives it.
	for _, c := range []*chain{one, two} {
		if a := c.insist("/alertmanager/sms", payload(t, "payloads/01-single-firing-critical.json")); a.Status != "duplicate" || a.Messages[0] != first.Messages[0] {
			t.Errorf("the twin gives %+v", a)
		}
	}
	// The leader stops; the other replica sends the new message.
	one.stop()
	second := two.insist("/alertmanager/sms", payload(t, "payloads/02-single-resolved.json"))
	two.until(second.Messages[0], "delivered")
	if !two.leads() || len(two.sim.Messages()) != 2 {
		t.Errorf("the second replica leads: %v; the provider has %d messages", two.leads(), len(two.sim.Messages()))
	}
}

func TestDatabaseAway(t *testing.T) {
	server, url := database(t)
	c := start(t, textinghousetest.Options{}, "storage: {postgres_url: \""+url+"\"}"+simple)
	c.untilLeading()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	// The message is sent without being stored, and the receiver is not ready.
	sent := c.insist("/alertmanager/sms", payload(t, "payloads/01-single-firing-critical.json"))
	if len(c.sim.Messages()) != 1 {
		t.Errorf("the provider has %d messages", len(c.sim.Messages()))
	}
	if code, text := c.do("GET", "/-/ready", ""); code != http.StatusServiceUnavailable || !strings.Contains(text, "cannot be written") {
		t.Errorf("ready responds %d %s", code, text)
	}
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	c.untilLeading()
	c.untilReady()
	c.waitFor(sent.Messages[0])
	c.until(sent.Messages[0], "delivered") // its receipt came while the database was down
	next := c.insist("/alertmanager/sms", payload(t, "payloads/02-single-resolved.json"))
	c.until(next.Messages[0], "delivered")
	if len(c.sim.Messages()) != 2 {
		t.Errorf("the provider has %d messages", len(c.sim.Messages()))
	}
}

// TestOutboxBrokenAtStart: pages are sent although the outbox cannot be opened, and are stored once
// it can be.
func TestOutboxBrokenAtStart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "broken.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &chain{t: t, sim: textinghousetest.NewServer(textinghousetest.Options{}), file: filepath.Join(dir, "smspager.yml")}
	t.Cleanup(c.sim.Close)
	c.write("storage: {sqlite: broken.db}" + simple)
	c.begin()
	t.Cleanup(func() { c.stop() })
	if code, text := c.do("GET", "/-/ready", ""); code != http.StatusServiceUnavailable {
		t.Errorf("ready responds %d %s", code, text)
	}
	sent := c.post("/alertmanager/sms", payload(t, "payloads/01-single-firing-critical.json"))
	if len(c.sim.Messages()) != 1 {
		t.Errorf("the provider has %d messages", len(c.sim.Messages()))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	c.untilReady()
	c.waitFor(sent.Messages[0])
	if c.until(sent.Messages[0], "delivered"); len(c.sim.Messages()) != 1 {
		t.Errorf("the provider has %d messages", len(c.sim.Messages()))
	}
}

// waitFor waits until a message is in the outbox.
func (c *chain) waitFor(id string) {
	c.t.Helper()
	testwait.Until(c.t, func() error {
		if code, text := c.do("GET", "/api/v1/messages/"+id, ""); code != http.StatusOK {
			return fmt.Errorf("message %s is not recorded: %d %s", id, code, text)
		}
		return nil
	})
}

// TestEscalationOnReplicas: every step runs once, on whichever replica is left, and a reply may
// come to any replica.
func TestEscalationOnReplicas(t *testing.T) {
	_, url := database(t)
	one := start(t, textinghousetest.Options{}, "storage: {postgres_url: \""+url+"\"}"+`
contacts:
  - {name: alice, number: "`+alice+`"}
  - {name: bob, number: "`+bob+`"}
receivers:
  - {name: sms, to: [alice], limits: [], escalate: [{after: 1s, to: [bob]}, {after: 4s, to: ["+33612345670"]}, {after: 2m, to: ["+33612345671"]}]}
`)
	one.untilLeading()
	two := one.replica()
	const pages = 10
	for i := range pages {
		c := []*chain{one, two}[i%2]
		c.insist("/alertmanager/sms", notification(fmt.Sprint("Disk", i)))
	}
	count := func(number string) (n int) {
		for _, m := range one.sim.Messages() {
			if "+"+m.To == number {
				n++
			}
		}
		return n
	}
	until := func(number string, n int) {
		t.Helper()
		testwait.Until(t, func() error {
			if got := count(number); got < n {
				return fmt.Errorf("%s got %d of %d texts", number, got, n)
			}
			return nil
		})
	}
	until(alice, pages)
	until(bob, pages)
	// The leader stops; the other replica runs the next step. Replies come to the other one, too.
	one.stop()
	until("+33612345670", pages)
	phone := two.sim.Phone(bob)
	for range pages {
		sms, err := phone.Next(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, code, _ := strings.Cut(sms.Text, "Re "); code != "" {
			if err := phone.Reply("ok " + code); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Each page is acknowledged, and everybody who was paged is sent the holder's name.
	until(bob, 2*pages)
	until(alice, 2*pages)
	until("+33612345670", 2*pages)
	testwait.Until(t, func() error {
		var list api.Pages
		_, text := two.do("GET", "/api/v1/pages?state=acknowledged", "")
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Pages) != pages {
			return fmt.Errorf("%d of %d pages are acknowledged: %v", len(list.Pages), pages, err)
		}
		if waiting := two.metric("smspager_messages_waiting"); waiting != "0" {
			return fmt.Errorf("%s messages wait", waiting)
		}
		return nil
	})
	for number, want := range map[string]int{alice: 2 * pages, bob: 2 * pages, "+33612345670": 2 * pages, "+33612345671": 0} { // each page, and its holder
		if got := count(number); got != want {
			t.Errorf("%s got %d texts, want %d", number, got, want)
			for _, m := range one.sim.Messages() {
				if "+"+m.To == number {
					t.Logf("%s %s %q", m.At.Format("05.000"), m.ClientID, m.Text)
				}
			}
		}
	}
}
