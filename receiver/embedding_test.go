package receiver_test

import (
	"fmt"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// notification is one about an alert of a name, in a group of its own.
func notification(alert string) string {
	return fmt.Sprintf(`{"version":"4","status":"firing","groupKey":"{}:{alertname=%s}","alerts":[{"status":"firing","labels":{"alertname":%q},"startsAt":"2026-11-23T19:24:46Z"}],"commonLabels":{"alertname":%q}}`, alert, alert, alert)
}

// TestRunLeavesNothing: when Run has returned, so has every goroutine that it
// or its requests began; also while the provider does not answer.
func TestRunLeavesNothing(t *testing.T) {
	for _, db := range []string{"sqlite", "postgres"} {
		t.Run(db, func(t *testing.T) {
			storage := ""
			if db == "postgres" {
				_, url := database(t)
				storage = "storage: {postgres_url: \"" + url + "\"}"
			}
			before := goleak.IgnoreCurrent()
			c := start(t, textinghousetest.Options{}, storage+simple+"probe: {interval: 1m}\n")
			c.until(c.post("/alertmanager/sms", notification("DiskFull")).Messages[0], "delivered")
			c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Hang})
			c.post("/alertmanager/sms", notification("DiskDead"))
			c.stop()
			c.sim.Close()
			http.DefaultClient.CloseIdleConnections()
			goleak.VerifyNone(t, before)
		})
	}
}

// TestTwoReceivers in one process share nothing: not what was seen, not the
// outbox, not the metrics; and one goes on when the other stops.
func TestTwoReceivers(t *testing.T) {
	one, two := start(t, textinghousetest.Options{}, simple), start(t, textinghousetest.Options{}, simple)
	id := one.post("/alertmanager/sms", notification("DiskFull")).Messages[0]
	one.until(id, "delivered")
	if code := two.status("GET", "/api/v1/messages/"+id, ""); code != http.StatusNotFound {
		t.Errorf("the other has the message: %d", code)
	}
	if got := two.metric(`smspager_notifications_total{outcome="accepted",receiver="sms"}`); got == "1" {
		t.Error("the other counted the notification")
	}
	a := two.post("/alertmanager/sms", notification("DiskFull"))
	if a.Status != "accepted" || len(a.Messages) != 1 {
		t.Fatalf("the other answers %+v", a)
	}
	one.stop()
	two.until(a.Messages[0], "delivered")
	two.until(two.post("/alertmanager/sms", notification("DiskDead")).Messages[0], "delivered")
	if n := len(one.sim.Messages()); n != 1 {
		t.Errorf("the first sent %d messages", n)
	}
}
