package oncall

import (
	"testing"
	"time"
)

func TestParseCommand(t *testing.T) {
	ack := func(code string) command { return command{verb: verbAcknowledge, code: code} }
	silence := func(code string, long time.Duration) command {
		return command{verb: verbSilence, code: code, long: long}
	}
	only := func(v verb) command { return command{verb: v} }
	for text, want := range map[string]command{
		"ok": ack(""), "OK": ack(""), "Ok.": ack(""), " ok!! ": ack(""), "ack": ack(""), "Öķ": ack(""), "k": ack(""), "oui": ack(""), "yes": ack(""), "👍": ack(""),
		"4821": ack("4821"), "Re 4821": ack("4821"), "RE: 4821": ack("4821"), "re4821": only(verbUnknown), "ok 4821": ack("4821"), "4821 ok": ack("4821"), "Ack 4821.": ack("4821"), "48213": ack("48213"),
		"ok on my way": ack(""), "4821 ok on it, thanks": ack("4821"), "ok?": ack(""),
		"4821 2h": silence("4821", 2*time.Hour), "s 2h": silence("", 2*time.Hour), "S 2 H": silence("", 2*time.Hour), "4821 s 90m": silence("4821", 90*time.Minute),
		"silence 4821 1h30": silence("4821", 90*time.Minute), "4821 1h30m": silence("4821", 90*time.Minute), "s 3 jours": silence("", 72*time.Hour),
		"Re 4821 2h": silence("4821", 2*time.Hour), "2h 4821": silence("4821", 2*time.Hour),
		"undo": only(verbUndo), "undo 4821": {verb: verbUndo, code: "4821"}, "UNDO!": only(verbUndo),
		"?": only(verbStatus), "status": only(verbStatus), " ? ": only(verbStatus), "who": only(verbWho), "Who?": only(verbWho), "help": only(verbHelp), "STOP": only(verbStop), "start": only(verbStart),
		"583201": {verb: verbVerify, code: "583201"},
		// Nothing is guessed.
		"": only(verbUnknown), "2h": only(verbUnknown), "s": only(verbUnknown), "not ok": only(verbUnknown), "4821 no": only(verbUnknown), "no": only(verbUnknown),
		"stop calling me": only(verbUnknown), "ok 2h": only(verbUnknown), "4821 5530": only(verbUnknown), "who is it": only(verbUnknown), "undo that please": only(verbUnknown),
		"482": only(verbUnknown), "4821582": only(verbUnknown), "4821 0h": only(verbUnknown), "s 2x": only(verbUnknown), "ok 583201": only(verbUnknown), "stop 4821": only(verbUnknown),
		"I am asleep": only(verbUnknown), "s 1m2h": only(verbUnknown), "s 9999999h": only(verbUnknown),
	} {
		if got := parseCommand(text); got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

// FuzzParseCommand: whatever is typed, what is understood is whole.
func FuzzParseCommand(f *testing.F) {
	for _, text := range []string{"ok 4821", "4821 2h", "s 1h30", "undo", "?", "583201", "Re 4821", "\x00\xff", "h h h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := parseCommand(text)
		if (c.verb == verbSilence) != (c.long > 0) {
			t.Errorf("%q is %+v", text, c)
		}
		switch c.verb {
		case verbVerify:
			if len(c.code) != verifyCode {
				t.Errorf("%q is %+v", text, c)
			}
		case verbAcknowledge, verbSilence, verbUndo:
			if c.code != "" && (len(c.code) < shortestCode || len(c.code) > longestCode || !isDigits(c.code)) {
				t.Errorf("%q is %+v", text, c)
			}
		default:
			if c.code != "" {
				t.Errorf("%q is %+v", text, c)
			}
		}
	})
}
