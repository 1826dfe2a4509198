package oncall_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/api"
)

// TestUndoOfTheLastReply: UNDO undoes the last reply only, which is about the second page. Alice has
// acknowledged the first.
func TestUndoOfTheLastReply(t *testing.T) {
	for name, test := range map[string]struct {
		reply, confirmation string // to the second page; %s is its code
		undone              string
		first, second       string // the final states of the pages
	}{
		"acknowledged":               {"%s", "OK, ... is yours: WARNING LoadHigh db-2", "Undone: ...LoadHigh db-2", "acknowledged", "open"},
		"a wrong code":               {"0000", "No page 0000...", "Nothing was undone: your last reply did nothing. UNDO and a code opens...DiskFull db-1", "acknowledged", "open"},
		"a silence that is too long": {"%s 999h", "NOT silenced: ...", "Nothing was undone: your last reply did nothing...", "acknowledged", "open"},
		"not understood":             {"mumble grumble", "Not understood...", "Nothing was undone: your last reply did nothing...", "acknowledged", "open"},
		"the next person":            {"next %s", "OK, bob is paged...", "Nothing was undone: NEXT has paged somebody else for ...", "acknowledged", "open"},
		"a question after it":        {"?", "2 pages:...", "Undone: ...DiskFull db-1", "open", "open"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, escalating, func(w *world) {
				a := w.phone(alice)
				w.fire()
				a.expect(time.Second, "CRITICAL...Re CODE")
				first := a.code
				a.say("%s", first)
				a.expect(time.Second, "OK, ...")
				w.notify("oncall", "load", "first notification", alert{name: "LoadHigh", severity: "warning", instance: "db-2"})
				a.expect(time.Second, "WARNING...Re CODE")
				second := a.code
				after(time.Second)
				a.reply(test.reply, second)
				a.expect(time.Second, test.confirmation)
				after(time.Second)
				a.say("undo")
				a.expect(time.Second, test.undone)
				for code, want := range map[string]string{first: test.first, second: test.second} {
					if p := w.coded(code); p.State != want {
						t.Errorf("the page is %s, want %s: %s", p.State, want, history(p))
					}
				}
			})
		})
	}
}

// TestUndoOfAPageThatIsOver: if the page of the last reply is over, UNDO does not undo an older reply.
func TestUndoOfAPageThatIsOver(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.notify("oncall", "load", "first notification", other)
		a.expect(time.Second, "CRITICAL...Re CODE")
		first := a.code
		a.say("%s", first)
		a.expect(time.Second, "OK, ...")
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		a.say("%s", a.code)
		a.expect(time.Second, "OK, ...")
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		a.say("undo")
		a.expect(time.Second, a.code+" is resolved...")
		if p := w.coded(first); p.State != "acknowledged" {
			t.Errorf("the older page is %s", p.State)
		}
	})
}

// TestUndoOfASilence: UNDO of a silence of a page that was held before ends only the silence.
func TestUndoOfASilence(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		a.say("ok")
		a.expect(time.Second, "OK, ...")
		after(time.Minute)
		a.say("%s 2h", a.code)
		a.expect(time.Second, "Silenced ...")
		after(time.Minute)
		a.say("undo")
		a.expect(time.Second, "Undone: "+a.code+" is acknowledged and not silenced...")
		if p := w.page(); p.State != "acknowledged" || len(w.am.active()) != 0 {
			t.Errorf("the page is %s, with %d silences", p.State, len(w.am.active()))
		}
		w.phone(bob).silent(time.Hour)
		a.say("undo %s", a.code)
		a.expect(time.Second, "Undone: "+a.code+" is open again...")
	})
}

// reply sends a text in which the code replaces %s.
func (p *phone) reply(text, code string) {
	p.w.t.Helper()
	p.say("%s", strings.ReplaceAll(text, "%s", code))
}

// coded reads the page with a code over the API.
func (w *world) coded(code string) (p api.Page) {
	w.t.Helper()
	_, text := w.do("GET", "/api/v1/pages/"+code, "")
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}
