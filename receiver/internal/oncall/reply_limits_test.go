package oncall_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestUnknownSendersGetNoConfirmation(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		after(time.Second)
		apiID := w.sim.Messages()[0].APIID
		body := `{"apimsgid":"` + apiID + `","from":"33699999999","txt":"ok","date":"2000-01-01 00:00:00"}`
		for range 2 {
			if code, text := w.do("POST", "/textinghouse/"+token+"/mo", body); code != 200 {
				t.Errorf("the response is %d %s", code, text)
			}
		}
		after(time.Second)
		if n := len(w.sim.Messages()); n != 1 {
			t.Errorf("%d messages were sent", n)
		}
		// A reply that responds to no message is stored, too.
		for _, text := range []string{"Win a car", "wer ist da?"} {
			if code, response := w.do("POST", "/textinghouse/"+token+"/mo", `{"climsgid":"x","from":"33699999999","txt":"`+text+`","date":"2000-01-01 00:00:00"}`); code != 200 {
				t.Errorf("the response is %d %s", code, response)
			}
		}
		if _, list := w.do("GET", "/api/v1/replies?limit=1", ""); !strings.Contains(list, `{"replies":[{"id":"`) || !strings.Contains(list, `"from":"+33699999999","text":"wer ist da?"}]}`) {
			t.Errorf("the replies are %s", list)
		}
		if code, response := w.do("GET", "/api/v1/replies?to=x", ""); code != 400 || !strings.Contains(response, "known: limit") {
			t.Errorf("the response to an unknown parameter is %d %s", code, response)
		}
		p := w.page()
		if p.State != "open" {
			t.Errorf("the page is %s", p.State)
		}
		events := p.Messages[0].Events
		recorded := 0
		for _, e := range events {
			if e.Type == "reply" {
				recorded++
			}
		}
		if recorded != 1 || w.metric("smspager_replies_total", "outcome", "stranger") != 3 {
			t.Errorf("the reply is recorded %d times: %+v", recorded, events)
		}
	})
}

// TestReplyWithoutNumber: if a reply has no number, its ids show the sender. Without ids it does nothing.
func TestReplyWithoutNumber(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		mo := func(fields, status string) {
			t.Helper()
			want := `{"status":"` + status + `"}`
			if code, response := w.do("POST", "/textinghouse/"+token+"/mo", fields); code != 200 || strings.TrimSpace(response) != want {
				t.Errorf("the response to %s is %d %s, want %s", fields, code, response, want)
			}
		}
		for _, text := range []string{"ok", w.page().Code, "next", "ok all", "stop", "?", "help", ""} {
			for _, from := range []string{"", `"from":"",`, `"from":null,`} {
				mo(`{`+from+`"txt":"`+text+`","date":"2000-01-01 00:00:0`+fmt.Sprint(len(from)%7)+`"}`, "stranger")
			}
		}
		a.silent(2 * time.Second)
		if p := w.page(); p.State != "open" || len(w.sim.Messages()) != 1 {
			t.Errorf("the page is %s, %d messages were sent", p.State, len(w.sim.Messages()))
		}
		mo(`{"apimsgid":"`+w.sim.Messages()[0].APIID+`","txt":"ok"}`, "done")
		a.expect(time.Second, "OK...")
	})
}

// TestConfirmationsToMachinesEnd: a phone that replies to everything gets a few confirmations.
func TestConfirmationsToMachinesEnd(t *testing.T) {
	inWorld(t, team+"receivers: [{name: oncall, to: [alice], limits: [], acknowledge: true}]\n", func(w *world) {
		for _, text := range []string{"I am out of office", "?"} {
			a := w.phone(alice)
			w.notify("oncall", text, "first notification", disk)
			before := len(w.sim.Messages())
			for range 200 {
				after(time.Second)
				for len(w.sim.Messages()) > before {
					before++
				}
				a.expect(time.Second, "...")
				a.say("%s", text)
				after(time.Second)
				if len(w.sim.Messages()) == before {
					break
				}
			}
			if n := len(w.sim.Messages()); n > 20 {
				t.Errorf("%d messages were sent", n)
			}
		}
	})
}

// TestUnclearRepliesHaveALowerLimit: unclear replies have a lower limit of confirmations than commands.
func TestUnclearRepliesHaveALowerLimit(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		confirmations := func(within time.Duration, every time.Duration) (n int) {
			for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(every) {
				before := len(w.sim.Messages())
				a.say("what %d", time.Now().Unix())
				time.Sleep(2 * time.Second)
				n += len(w.sim.Messages()) - before
			}
			return n
		}
		if n := confirmations(time.Hour, 5*time.Minute); n != 6 {
			t.Errorf("%d confirmations were sent in an hour", n)
		}
		before := len(w.sim.Messages())
		a.say("ok")
		after(time.Second)
		if n := len(w.sim.Messages()) - before; n != 3 || w.page().State != "acknowledged" {
			t.Errorf("a command leads to %d texts, want 3; the page is %s", n, w.page().State)
		}
		if n := confirmations(22*time.Hour, 20*time.Minute); n != 14 {
			t.Errorf("%d more confirmations were sent in a day", n)
		}
	})
}

// TestEndlessUndoIsLimited: limits end the confirmations, and a little later the messages to
// others.
func TestEndlessUndoIsLimited(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(6*time.Minute, "CRITICAL...Re CODE")
		before := len(w.sim.Messages())
		for range 40 {
			b.say("%s", b.code)
			after(7 * time.Second)
			b.say("undo %s", b.code)
			after(7 * time.Second)
		}
		if n := len(w.sim.Messages()) - before; n != 15+40 {
			t.Errorf("%d texts were sent in 10 minutes, want 15 confirmations and 40 to alice", n)
		}
	})
}

// TestAcknowledgementBeyondTheLimit: others learn of an acknowledgement even if its confirmation exceeds the
// limit.
func TestAcknowledgementBeyondTheLimit(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "to: [alice]", "to: [alice, bob]", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		var codes []string
		for i := range 16 {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Service", i), severity: "critical", instance: "x"})
			a.expect(time.Second, "CRITICAL...Re CODE")
			b.expect(time.Second, "CRITICAL...Re CODE")
			codes = append(codes, a.code)
		}
		for i, code := range codes {
			a.say("%s", code)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			if _, err := b.Next(ctx); err != nil {
				t.Errorf("bob gets no text that alice has page %d", i)
			}
			cancel()
		}
	})
}
