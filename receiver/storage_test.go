package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func (c *chain) outbox() string { return filepath.Join(filepath.Dir(c.file), "smspager.db") }

func group(n int) string {
	return fmt.Sprintf(`{"version": "4", "receiver": "sms", "status": "firing", "groupKey": "%[1]d", "alerts": [
		{"status": "firing", "labels": {"alertname": "A%[1]d"}, "startsAt": "2026-11-28T03:00:00Z"}]}`, n)
}

// TestRestoredBackup: messages that were sent after a backup was made are not sent again when it is
// restored (law 2).
func TestRestoredBackup(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	const messages = 5
	c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 104, Command: "sendsms"}) // so they wait
	var ids []string
	for i := range messages {
		ids = append(ids, c.post("/alertmanager/sms", group(i)).Messages...)
	}
	backup := filepath.Join(t.TempDir(), "yesterday.db")
	if n, err := sqlite.Backup(context.Background(), c.outbox(), backup); err != nil || n != messages {
		t.Fatal(n, err)
	}
	c.sim.ClearFaults()
	if err := c.r.Reload(); err != nil { // makes smspager try again
		t.Fatal(err)
	}
	for _, id := range ids {
		c.until(id, "delivered")
	}
	c.stop()
	sent := c.sim.Requests("acme", "sendsms")
	if _, _, err := sqlite.Restore(context.Background(), c.outbox(), backup); err != nil {
		t.Fatal(err)
	}
	c.run()
	for _, id := range ids {
		c.until(id, "delivered")
		if n := c.sim.TimesAccepted(id); n != 1 {
			t.Errorf("message %s was sent %d times", id, n)
		}
	}
	if again := c.sim.Requests("acme", "sendsms") - sent; again != 0 {
		t.Errorf("%d messages were sent again", again)
	}
}

// TestDeletedOutboxFile: if a file of the outbox is deleted, that is reported, and pages are still
// sent.
func TestDeletedOutboxFile(t *testing.T) {
	for _, suffix := range []string{"", "-wal", ".lock"} {
		t.Run("smspager.db"+suffix, func(t *testing.T) {
			c := start(t, textinghousetest.Options{}, simple)
			c.until(c.post("/alertmanager/sms", group(0)).Messages[0], "delivered")
			testwait.Until(t, func() error { // otherwise a late write could notice the deletion
				if n := c.metric("smspager_spool_entries"); n != "0" {
					return fmt.Errorf("%s changes are not stored", n)
				}
				return nil
			})
			if err := os.Remove(c.outbox() + suffix); err != nil {
				t.Fatal(err)
			}
			testwait.Until(t, func() error {
				code, text := c.do("GET", "/-/ready", "")
				if code != http.StatusServiceUnavailable || !strings.Contains(text, "was deleted while smspager used it") {
					return errors.New(text)
				}
				return nil
			})
			if up := c.metric("smspager_store_up"); up != "0" {
				t.Errorf("smspager_store_up is %s", up)
			}
			id := c.post("/alertmanager/sms", group(1)).Messages[0]
			if n := c.sim.TimesAccepted(id); n != 1 {
				t.Errorf("a page was sent %d times before its 200", n)
			}
		})
	}
}

// TestStandbyWithoutTheLastCommits: a standby database that lacks the last commits causes no
// message to be sent twice (law 2).
func TestStandbyWithoutTheLastCommits(t *testing.T) {
	server, url := database(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "postgres.url")
	writeFile(t, file, url)
	c := start(t, textinghousetest.Options{}, "storage: {postgres_url_file: "+file+"}"+simple)
	c.untilLeading()
	const messages = 5
	c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 104, Command: "sendsms"}) // so they wait
	var ids []string
	for i := range messages {
		ids = append(ids, c.post("/alertmanager/sms", group(i)).Messages...)
	}
	c.stop()
	if err := server.Exec(strings.Replace(url, "/test1", "/postgres", 1), "CREATE DATABASE standby TEMPLATE test1"); err != nil {
		t.Fatal(err)
	}
	c.sim.ClearFaults()
	c.run()
	for _, id := range ids {
		c.until(id, "delivered")
	}
	c.stop()
	sent := c.sim.Requests("acme", "sendsms")
	writeFile(t, file, strings.Replace(url, "/test1", "/standby", 1))
	c.run()
	for _, id := range ids {
		c.until(id, "delivered")
	}
	if again := c.sim.Requests("acme", "sendsms") - sent; again != 0 {
		t.Errorf("%d messages were sent again", again)
	}
}
