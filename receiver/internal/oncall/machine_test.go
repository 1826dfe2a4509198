package oncall_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// mo posts the callback of a reply.
func (w *world) mo(body string) {
	w.t.Helper()
	if code, text := w.do("POST", "/textinghouse/"+token+"/mo", body); code != http.StatusOK {
		w.t.Errorf("the response to %s is %d %s", body, code, text)
	}
	after(time.Millisecond)
}

// TestRepliedTooFast: a long reply within two seconds of the receipt is not from a person.
func TestRepliedTooFast(t *testing.T) {
	for wait, state := range map[time.Duration]string{2 * time.Second: "open", 10 * time.Second: "acknowledged"} {
		inWorld(t, escalating, func(w *world) {
			a := w.phone(alice)
			w.fire()
			a.expect(time.Second, "CRITICAL...")
			after(wait) // the receipt comes in a second or two
			a.say("OK, thank you for your message, have a nice day")
			if got := w.page().State; got != state {
				t.Errorf("after %s, the page is %s, want %s: %+v", wait, got, state, w.page().Messages[0].Events)
			}
		})
	}
}

// TestUnmatchedReplies: replies that respond to no message are stored and shown. Those from known numbers
// are confirmed, whatever fields they lack.
func TestUnmatchedReplies(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		for i, from := range []string{"33612345678", "+33612345678", "0033612345678", "33 6 12 34 56 78", "33-612-345-678"} {
			w.mo(fmt.Sprintf(`{"from":%q,"txt":"who %d?","date":"yesterday"}`, from, i))
			a.expect(time.Second, "Nothing was done...")
			after(11 * time.Second) // an equal confirmation is dropped until then
		}
		w.mo(`{"from":"unknown","txt":"who is this"}`)
		w.mo(`{"txt":null}`)
		_, list := w.do("GET", "/api/v1/replies", "")
		for _, want := range []string{`"text":"who 4?"`, `"from":"unknown","text":"who is this"`, `"from":"","text":""`} {
			if !strings.Contains(list, want) {
				t.Errorf("the replies lack %s: %s", want, list)
			}
		}
	})
}

// TestNationalNumber: the ids of a reply show its sender.
func TestNationalNumber(t *testing.T) {
	for from, state := range map[string]string{"0612345678": "acknowledged", "": "acknowledged", "33699999999": "open"} {
		inWorld(t, escalating, func(w *world) {
			w.fire()
			after(time.Second)
			w.mo(fmt.Sprintf(`{"climsgid":%q,"from":%q,"txt":"ok"}`, w.page().Messages[0].ID, from))
			if got := w.page().State; got != state {
				t.Errorf("from %q: %s, want %s", from, got, state)
			}
		})
	}
}

// TestUndatedReplies: a reply without a date may repeat an earlier one's words.
func TestUndatedReplies(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		w.fire()
		after(time.Second)
		for _, reply := range []string{"ok", "undo", "ok"} {
			w.mo(fmt.Sprintf(`{"from":%q,"txt":%q}`, alice, reply))
			after(time.Minute)
		}
		if got := w.page().State; got != "acknowledged" {
			t.Errorf("the page is %s", got)
		}
	})
}
