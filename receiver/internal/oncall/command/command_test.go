package command

import (
	"reflect"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	ack := func(codes ...string) Command { return Command{Verb: Acknowledge, Codes: codes} }
	silence := func(code string, long time.Duration) Command {
		c := Command{Verb: Silence, Length: long}
		if code != "" {
			c.Codes = []string{code}
		}
		return c
	}
	only := func(v Verb) Command { return Command{Verb: v} }
	verify := Command{Verb: Verify, Codes: []string{"583201"}}
	for text, want := range map[string]Command{
		"ok": ack(), "OK": ack(), "Ok.": ack(), " ok!! ": ack(), "ack": ack(), "Öķ": ack(), "k": ack(), "oui": ack(), "yes": ack(), "yes please": ack(), "👍": ack(), "+1": ack(),
		"4821": ack("4821"), "Re 4821": ack("4821"), "RE: 4821": ack("4821"), "re4821": only(Unknown), "ok 4821": ack("4821"), "4821 ok": ack("4821"), "Ack 4821.": ack("4821"), "48213": ack("48213"),
		"yes 4821": ack("4821"), "ok, the code is 4821": ack("4821"), "ok on my way": ack(), "4821 ok on it, thanks": ack("4821"), "ok?": ack(),
		"ok 6907 7426": ack("6907", "7426"), "6907, 7426": ack("6907", "7426"), "ok 6907 6907": ack("6907"), "ok all": {Verb: Acknowledge, All: true}, "OK tous": {Verb: Acknowledge, All: true},
		"ok 2h": {Verb: Acknowledge, Length: 2 * time.Hour}, "ok 5 min": {Verb: Acknowledge, Length: 5 * time.Minute},
		"4821 2h": silence("4821", 2*time.Hour), "s 2h": silence("", 2*time.Hour), "S 2 H": silence("", 2*time.Hour), "4821 s 90m": silence("4821", 90*time.Minute),
		"silence 4821 1h30": silence("4821", 90*time.Minute), "4821 1h30m": silence("4821", 90*time.Minute), "s 3 jours": silence("", 72*time.Hour),
		"Re 4821 2h": silence("4821", 2*time.Hour), "2h 4821": silence("4821", 2*time.Hour), "please silence it for 2 hours": silence("", 2*time.Hour),
		"undo": only(Undo), "undo 4821": {Verb: Undo, Codes: []string{"4821"}}, "UNDO!": only(Undo), "undo that please": only(Undo),
		"?": only(Status), "status": only(Status), " ? ": only(Status), "who": only(Who), "Who?": only(Who), "who is it": only(Who), "help": only(Help), "STOP": only(Stop), "start": only(Start),
		"583201": verify, "ok 583201": verify, "my code is 583201": verify, "583201.": verify,
		// Nothing is guessed.
		"": only(Unknown), "2h": only(Unknown), "s": only(Unknown), "not ok": only(Unknown), "4821 no": only(Unknown), "no": only(Unknown),
		"stop calling me": only(Unknown), "all": only(Unknown), "undo all": only(Unknown), "s 2h all": only(Unknown), "ok all 4821": only(Unknown),
		"yes but which one": only(Unknown), "k thx but no": only(Unknown), "stop 583201": only(Unknown), "I said ok": only(Unknown),
		"482": only(Unknown), "4821582": only(Unknown), "4821 0h": only(Unknown), "s 2x": only(Unknown), "stop 4821": only(Unknown),
		"I am asleep": only(Unknown), "s 1m2h": only(Unknown), "s 9999999h": only(Unknown),
	} {
		if got := Parse(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

// FuzzParse: whatever is typed, a command is complete.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"ok 4821", "4821 2h", "s 1h30", "undo", "?", "583201", "Re 4821", "\x00\xff", "h h h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Parse(text)
		if (c.Verb == Silence) != (c.Length > 0) && c.Verb != Acknowledge {
			t.Errorf("%q is %+v", text, c)
		}
		for _, code := range c.Codes {
			most := LongestCode
			switch c.Verb {
			case Verify:
				most = VerifyCode
			case Acknowledge, Silence, Undo:
			default:
				t.Errorf("%q is %+v", text, c)
			}
			if len(code) < ShortestCode || len(code) > most || !digits(code) {
				t.Errorf("%q is %+v", text, c)
			}
		}
		if c.All && (c.Verb != Acknowledge || len(c.Codes) > 0) || c.Verb == Verify && len(c.Codes) != 1 {
			t.Errorf("%q is %+v", text, c)
		}
	})
}
