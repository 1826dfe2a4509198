package oncall

import (
	"reflect"
	"testing"
	"time"
)

func TestParseCommand(t *testing.T) {
	ack := func(codes ...string) command { return command{verb: verbAcknowledge, codes: codes} }
	silence := func(code string, long time.Duration) command {
		c := command{verb: verbSilence, long: long}
		if code != "" {
			c.codes = []string{code}
		}
		return c
	}
	only := func(v verb) command { return command{verb: v} }
	verify := command{verb: verbVerify, codes: []string{"583201"}}
	for text, want := range map[string]command{
		"ok": ack(), "OK": ack(), "Ok.": ack(), " ok!! ": ack(), "ack": ack(), "Öķ": ack(), "k": ack(), "oui": ack(), "yes": ack(), "yes please": ack(), "👍": ack(), "+1": ack(),
		"4821": ack("4821"), "Re 4821": ack("4821"), "RE: 4821": ack("4821"), "re4821": only(verbUnknown), "ok 4821": ack("4821"), "4821 ok": ack("4821"), "Ack 4821.": ack("4821"), "48213": ack("48213"),
		"yes 4821": ack("4821"), "ok, the code is 4821": ack("4821"), "ok on my way": ack(), "4821 ok on it, thanks": ack("4821"), "ok?": ack(),
		"ok 6907 7426": ack("6907", "7426"), "6907, 7426": ack("6907", "7426"), "ok 6907 6907": ack("6907"), "ok all": {verb: verbAcknowledge, all: true}, "OK tous": {verb: verbAcknowledge, all: true},
		"ok 2h": {verb: verbAcknowledge, long: 2 * time.Hour}, "ok 5 min": {verb: verbAcknowledge, long: 5 * time.Minute},
		"4821 2h": silence("4821", 2*time.Hour), "s 2h": silence("", 2*time.Hour), "S 2 H": silence("", 2*time.Hour), "4821 s 90m": silence("4821", 90*time.Minute),
		"silence 4821 1h30": silence("4821", 90*time.Minute), "4821 1h30m": silence("4821", 90*time.Minute), "s 3 jours": silence("", 72*time.Hour),
		"Re 4821 2h": silence("4821", 2*time.Hour), "2h 4821": silence("4821", 2*time.Hour), "please silence it for 2 hours": silence("", 2*time.Hour),
		"undo": only(verbUndo), "undo 4821": {verb: verbUndo, codes: []string{"4821"}}, "UNDO!": only(verbUndo), "undo that please": only(verbUndo),
		"?": only(verbStatus), "status": only(verbStatus), " ? ": only(verbStatus), "who": only(verbWho), "Who?": only(verbWho), "who is it": only(verbWho), "help": only(verbHelp), "STOP": only(verbStop), "start": only(verbStart),
		"583201": verify, "ok 583201": verify, "my code is 583201": verify, "583201.": verify,
		// Nothing is guessed.
		"": only(verbUnknown), "2h": only(verbUnknown), "s": only(verbUnknown), "not ok": only(verbUnknown), "4821 no": only(verbUnknown), "no": only(verbUnknown),
		"stop calling me": only(verbUnknown), "all": only(verbUnknown), "undo all": only(verbUnknown), "s 2h all": only(verbUnknown), "ok all 4821": only(verbUnknown),
		"yes but which one": only(verbUnknown), "k thx but no": only(verbUnknown), "stop 583201": only(verbUnknown), "I said ok": only(verbUnknown),
		"482": only(verbUnknown), "4821582": only(verbUnknown), "4821 0h": only(verbUnknown), "s 2x": only(verbUnknown), "stop 4821": only(verbUnknown),
		"I am asleep": only(verbUnknown), "s 1m2h": only(verbUnknown), "s 9999999h": only(verbUnknown),
	} {
		if got := parseCommand(text); !reflect.DeepEqual(got, want) {
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
		if (c.verb == verbSilence) != (c.long > 0) && c.verb != verbAcknowledge {
			t.Errorf("%q is %+v", text, c)
		}
		for _, code := range c.codes {
			most := longestCode
			switch c.verb {
			case verbVerify:
				most = verifyCode
			case verbAcknowledge, verbSilence, verbUndo:
			default:
				t.Errorf("%q is %+v", text, c)
			}
			if len(code) < shortestCode || len(code) > most || !isDigits(code) {
				t.Errorf("%q is %+v", text, c)
			}
		}
		if c.all && (c.verb != verbAcknowledge || len(c.codes) > 0) || c.verb == verbVerify && len(c.codes) != 1 {
			t.Errorf("%q is %+v", text, c)
		}
	})
}
