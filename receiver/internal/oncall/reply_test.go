package oncall_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
	"github.com/smspager/smspager/templating/gsm7"
)

func TestWhichPage(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		load := alert{name: "LoadHigh", severity: "warning", instance: "db-2"}
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull...Re CODE")
		first := a.code
		w.notify("oncall", "load", "first notification", load)
		a.expect(time.Second, "WARNING LoadHigh...Re CODE")
		second := a.code
		if first == second {
			t.Fatalf("both pages have the code %s", first)
		}
		// A code overrides the message that the reply responds to.
		a.say("%s ok", first)
		a.expect(time.Second, "OK, "+first+" is yours: CRITICAL DiskFull db-1")
		after(time.Second)
		a.say("ok") // responds to that confirmation, but only the second page is open
		a.expect(time.Second, "OK, "+second+" is yours: WARNING LoadHigh db-2")
		a.say("undo")
		a.expect(time.Second, "Undone: "+second+" is open again: WARNING LoadHigh db-2")
		a.say("help")
		if help := a.expect(time.Second, "OK or a code: I have it..."); gsm7.Measure(help).Segments > 1 {
			t.Errorf("the help takes several segments: %q", help)
		}
		a.say("undo")
		a.expect(time.Second, "Undone: "+first+" is open again: CRITICAL DiskFull db-1")
		// A reply to a text that is about no page: nothing is guessed.
		after(11 * time.Second) // the provider refuses the same text until then
		a.say("help")
		a.expect(time.Second, "OK or a code...")
		a.say("ok")
		text := a.expect(time.Second, "Which one? Reply with its code.\n...")
		if !strings.Contains(text, "\n"+second+" WARNING LoadHigh db-2, ") || !strings.Contains(text, "\n"+first+" CRITICAL DiskFull db-1, ") {
			t.Errorf("the list is %q", text)
		}
		wrong := "1234"
		if wrong == first || wrong == second {
			wrong = "4321"
		}
		a.say("%s", wrong)
		a.expect(time.Second, "No page "+wrong+". You were paged for:\n...")
		a.say("?")
		a.expect(time.Second, "2 pages:\n"+first+" CRITICAL DiskFull db-1, ...")
		a.say("%s", second)
		a.expect(time.Second, "OK, "+second+" is yours: WARNING LoadHigh db-2")
		a.say("who")
		a.expect(time.Second, "oncall: alice")
		a.say("ok") // only one page is open
		a.expect(time.Second, "OK, "+first+" is yours: CRITICAL DiskFull db-1")
	})
}

// TestRepeatedCallbacksActOnce: repeated callbacks act once, even if they are late and out of order.
func TestRepeatedCallbacksActOnce(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.CallbackRepeat, N: 4, Times: 1})
		a.say("ok")
		a.expect(time.Second, "OK...")
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.CallbackRepeat, N: 3, Times: 1})
		a.say("undo")
		a.expect(time.Second, "Undone...")
		a.silent(time.Minute)
		// The first reply's callback comes once more, and does not acknowledge again.
		for _, c := range w.sim.Callbacks() {
			if strings.Contains(c.Body, `"txt":"ok"`) {
				if code, _ := w.do("POST", "/textinghouse/"+token+"/mo", c.Body); code != 200 {
					t.Errorf("the response is %d", code)
				}
			}
		}
		after(time.Second)
		if p := w.page(); p.State != "open" || history(p) != "opened, paged alice, acknowledged alice, undone alice" {
			t.Errorf("the page is %s: %s", p.State, history(p))
		}
	})
}

func TestStopAndStart(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("STOP")
		a.expect(time.Second, "You get no more texts from smspager...")
		// Nobody who was paged gets texts any more.
		b.expectBoth(5*time.Second, "alice has stopped texts from smspager and is not paged any more.", "CRITICAL DiskFull...Not reached: alice. OK? Re CODE")
		w.phone(carol).expect(time.Second, "alice has stopped...")
		b.say("ok")
		b.expect(time.Second, "OK...")
		w.notify("oncall", "load", "first notification", alert{name: "LoadHigh", severity: "warning", instance: "db-2"})
		b.expect(10*time.Second, "WARNING LoadHigh...Re CODE") // immediately: alice cannot be paged
		a.silent(time.Hour)
		if w.metric("smspager_contact", "contact", "alice", "state", "stopped") != 1 {
			t.Error("the metrics do not show that alice has stopped")
		}
		a.say("start")
		a.expect(time.Second, "You get texts again...")
		w.notify("oncall", "net", "first notification", alert{name: "NetDown", severity: "critical", instance: "gw-1"})
		a.expect(time.Second, "CRITICAL NetDown...Re CODE")
	})
}

func TestVerification(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		if code, text := w.do("POST", "/api/v1/contacts/alice/verify", ""); code != 200 {
			t.Fatalf("the response is %d %s", code, text)
		}
		if code, _ := w.do("POST", "/api/v1/contacts/nobody/verify", ""); code != 404 {
			t.Errorf("the response for an unknown contact is %d", code)
		}
		text := a.expect(time.Second, "smspager: reply ...")
		code := strings.Fields(text)[2]
		state := func(want string) {
			t.Helper()
			if w.metric("smspager_contact", "contact", "alice", "state", want) != 1 {
				t.Errorf("alice is not %s", want)
			}
		}
		state("unverified")
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		b.expect(6*time.Minute, "CRITICAL...")
		b.say("%s", code) // the code is alice's
		b.expect(time.Second, "That is not the code of a verification...")
		state("unverified")
		a.say("%s", code)
		a.expect(time.Second, "Thank you, alice is verified.")
		state("verified")
		w.halt()
		w.start(escalating)
		state("verified")
	})
}

// TestReplyToAPageThatIsOver: a reply to a page that is over acknowledges no other page.
func TestReplyToAPageThatIsOver(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		first, text := a.code, w.page().Messages[0].ID
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		w.notify("oncall", "other", "first notification", alert{name: "LoadHigh", severity: "critical", instance: "db-2"})
		a.expect(time.Second, "CRITICAL LoadHigh...")
		body := fmt.Sprintf(`{"climsgid":%q,"from":%q,"txt":"ok","date":"2000-01-01 00:00:03"}`, text, alice[1:])
		for range 30 { // a repeated callback is the same reply, and gets no further confirmation
			if code, text := w.do("POST", "/textinghouse/"+token+"/mo", body); code != 200 {
				t.Fatalf("the response is %d %s", code, text)
			}
		}
		a.expect(time.Second, first+" is resolved, since 0s: CRITICAL DiskFull db-1\nYou were paged for:\n...")
		if p := w.page(); p.State != "open" {
			t.Errorf("the other page is %s", p.State)
		}
		a.say("?") // which is confirmed
		a.expect(time.Second, "1 page:\n"+a.code+" CRITICAL LoadHigh db-2, ...")
	})
}

// TestReplyAcknowledgesSeveralPages: one reply acknowledges several pages, by their codes or all of them.
func TestReplyAcknowledgesSeveralPages(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		var codes []string
		for i := range 4 {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Service", i), severity: "critical", instance: "x"})
			a.expect(time.Second, "CRITICAL...Re CODE")
			codes = append(codes, a.code)
		}
		for range codes {
			b.expect(6*time.Minute, "CRITICAL...")
		}
		a.say("%s %s", codes[0], codes[2])
		a.expect(time.Second, "OK, "+codes[0]+" is yours: CRITICAL Service0 x\nOK, "+codes[2]+" is yours: CRITICAL Service2 x")
		b.expect(time.Second, "alice has:\n...") // in one text
		b.silent(time.Second)
		a.say("ok all")
		a.expect(time.Second, "OK, "+codes[1]+" is yours: CRITICAL Service1 x\nOK, "+codes[3]+" is yours: CRITICAL Service3 x")
		b.expect(time.Second, "alice has:\n...")
		w.phone(carol).silent(time.Hour)
		a.say("ok all")
		a.expect(time.Second, "No page of yours is open.")
		a.say("undo %s %s", codes[0], codes[1])
		a.expect(time.Second, "Nothing was done: one code at a time for that, please.")
	})
}

// TestUndoOfSomebodyElsesPage: UNDO opens somebody else's page only if it names the code.
func TestUndoOfSomebodyElsesPage(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(6*time.Minute, "CRITICAL...Re CODE")
		a.say("ok")
		a.expect(time.Second, "OK...")
		b.expect(time.Second, "alice has...")
		b.say("undo")
		b.expect(time.Second, "alice has "+b.code+"...")
		if p := w.page(); p.State != "acknowledged" {
			t.Errorf("the page is %s", p.State)
		}
		b.say("undo %s", b.code)
		b.expect(time.Second, "Undone: "+b.code+" is open again...")
		a.expect(time.Second, "bob undid alice's acknowledgement of "+b.code+". It is open again: CRITICAL DiskFull...Re CODE")
	})
}

// TestLateReply: a reply does not acknowledge alerts that came after it was written. The confirmation
// names them.
func TestLateReply(t *testing.T) {
	other := alert{name: "DiskBroken", severity: "critical", instance: "db-2"}
	write := func(w *world, text string, date time.Time) {
		body := fmt.Sprintf(`{"climsgid": "x", "from": %q, "txt": %q, "date": %q}`, alice[1:], text, date.UTC().Format(time.DateTime))
		if code, response := w.do("POST", "/textinghouse/"+token+"/mo", body); code != 200 {
			t.Fatal(code, response)
		}
		after(time.Millisecond)
	}
	for name, tc := range map[string]struct {
		text    string // of the reply; CODE is the page's code
		date    func(opened, newer time.Time) time.Time
		refused bool
	}{
		"written before":             {"ok", func(opened, _ time.Time) time.Time { return opened.Add(30 * time.Second) }, true},
		"by code":                    {"CODE", func(opened, _ time.Time) time.Time { return opened.Add(30 * time.Second) }, true},
		"with all":                   {"ok all", func(opened, _ time.Time) time.Time { return opened.Add(30 * time.Second) }, true},
		"a silence":                  {"CODE 2h", func(opened, _ time.Time) time.Time { return opened.Add(30 * time.Second) }, true},
		"written after":              {"ok", func(_, newer time.Time) time.Time { return newer }, false}, // dates are in whole seconds
		"in the future":              {"ok", func(_, newer time.Time) time.Time { return newer.Add(time.Hour) }, false},
		"more than a day old":        {"ok", func(opened, _ time.Time) time.Time { return opened.Add(-30 * time.Hour) }, false},
		"before the code was known":  {"CODE", func(opened, _ time.Time) time.Time { return opened.Add(-5 * time.Hour) }, false},
		"before the page was opened": {"ok", func(opened, _ time.Time) time.Time { return opened.Add(-5 * time.Hour) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, escalating, func(w *world) {
				after(6*time.Hour + 300*time.Millisecond)
				a := w.phone(alice)
				opened := time.Now()
				w.fire()
				a.expect(time.Second, "CRITICAL...Re CODE")
				after(2 * time.Minute)
				newer := time.Now()
				w.notify("oncall", "disk", "new alerts added", disk, other)
				a.expect(time.Second, "CRITICAL...Re CODE")
				write(w, strings.ReplaceAll(tc.text, "CODE", a.code), tc.date(opened, newer))
				if !tc.refused {
					a.expect(time.Second, "OK, "+a.code+" is yours: ...")
					return
				}
				text := a.expect(time.Second, "NOT ...OK "+a.code+" acknowledges.")
				if p := w.page(); p.State != "open" || !strings.Contains(text, "since you wrote, "+a.code+" has new alerts: CRITICAL Disk") || !strings.Contains(text, "DiskBroken db-2") {
					t.Errorf("the page is %s, the confirmation %q", p.State, text)
				}
				write(w, "ok", time.Now())
				a.expect(time.Second, "OK, "+a.code+" is yours: ...")
			})
		})
	}
}

// TestPageShowsItsDigest: a page shows the digest that replaces its message.
func TestPageShowsItsDigest(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "limits: []", "limits: [{messages: 1, per: 2m}]\n    urgent: []", 1), func(w *world) {
		for i := range 3 {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Service", i), severity: "critical", instance: "x"})
		}
		after(3 * time.Minute)
		p := w.page()
		var messages []string
		for _, m := range p.Messages {
			messages = append(messages, m.State+" "+m.Text)
		}
		if len(messages) != 2 || !strings.HasPrefix(messages[0], "superseded CRITICAL Service2") || !strings.HasPrefix(messages[1], "delivered 2 more in 2 groups: ") || p.Messages[0].SupersededBy != p.Messages[1].ID {
			t.Errorf("the page has %q", messages)
		}
	})
}

// TestQuietHoursOfAHolderOfSeveralPages: a message about the holder of several pages waits for the end of quiet
// hours, as a message about one page does.
func TestQuietHoursOfAHolderOfSeveralPages(t *testing.T) {
	inWorld(t, sleeping+"receivers: [{name: oncall, to: [alice, bob], limits: [], acknowledge: true}]\n", func(w *world) {
		a, b := w.phone(alice), w.phone(bob) // alice has quiet hours
		w.notify("oncall", "1", "first notification", load)
		w.notify("oncall", "2", "first notification", alert{name: "CertExpires", severity: "warning", instance: "www"})
		b.expect(time.Second, "WARNING...")
		b.expect(time.Second, "WARNING...")
		b.say("ok all")
		b.expect(time.Second, "OK...")
		a.silent(time.Hour)
	})
}

// TestNumberFromALabelRepliesWithCode: a recipient from a label may reply with the page's code, whatever
// message came last.
func TestNumberFromALabelRepliesWithCode(t *testing.T) {
	const dave = "+33612340000"
	inWorld(t, team+"receivers: [{name: oncall, to_label: owner, limits: [], acknowledge: true}]\n", func(w *world) {
		body, _ := json.Marshal(map[string]any{
			"version": "4", "receiver": "oncall", "status": "firing", "groupKey": "{}:{group=\"disk\"}",
			"alerts": []any{map[string]any{"status": "firing", "labels": map[string]string{"alertname": "DiskFull", "severity": "critical", "owner": dave}, "startsAt": "1999-12-31T23:50:00Z"}},
		})
		if code, text := w.do("POST", "/alertmanager/oncall", string(body)); code != 200 {
			t.Fatal(code, text)
		}
		d := w.phone(dave)
		d.expect(time.Second, "CRITICAL...Re CODE")
		d.say("?")
		d.expect(time.Second, "1 page:...")
		d.say("%s", d.code)
		d.expect(time.Minute, "OK, ...")
	})
}
