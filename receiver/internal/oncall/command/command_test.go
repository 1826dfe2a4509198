package command

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// meaning returns a command in the form of testdata/replies.tsv.
func meaning(c Command) string {
	words := append([]string{string(c.Verb)}, c.Codes...)
	if c.All {
		words = append(words, "all")
	}
	if c.Length > 0 {
		words = append(words, c.Length.String())
	}
	if c.Until != "" {
		words = append(words, "until", c.Until)
	}
	return strings.Join(words, " ")
}

func TestParse(t *testing.T) {
	table, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "# ") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 3 {
			t.Fatalf("%q has %d cells", line, len(cells))
		}
		text, err := strconv.Unquote(`"` + cells[0] + `"`)
		if err != nil {
			t.Fatalf("%q: %v", cells[0], err)
		}
		if got := meaning(Parse(text)); got != cells[2] {
			t.Errorf("%s: %q is %s, want %s", cells[1], text, got, cells[2])
		}
	}
}

// TestChat: a number among other words may be a word.
func TestChat(t *testing.T) {
	for text, want := range map[string][2]bool{ // chat, bare
		"ok back at 1830": {true, false}, "ok 1830": {false, false}, "4821": {false, true}, "4821 rebooting": {true, true}, "ok, rebooting 10.0.0.9:9100": {true, false},
	} {
		if c := Parse(text); c.Verb != Acknowledge || c.Chat != want[0] || c.Bare != want[1] {
			t.Errorf("%q is %+v", text, c)
		}
	}
}

// FuzzParse: Parse returns a complete command for any text.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"ok 4821", "4821 2h", "s 1h30", "undo", "?", "583201", "Re 4821", "\x00\xff", "h h h", "until 7am", "“ok, 4821 is yours” x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Parse(text)
		if (c.Verb == Silence) != (c.Length > 0 || c.Until != "") && c.Verb != Acknowledge {
			t.Errorf("%q is %+v", text, c)
		}
		for _, code := range c.Codes {
			most := LongestCode
			switch c.Verb {
			case Verify:
				most = VerifyCode
			case Acknowledge, Silence, Undo, Next, Decline, Question:
			default:
				t.Errorf("%q is %+v", text, c)
			}
			if len(code) < ShortestCode || len(code) > most || !digits(code) {
				t.Errorf("%q is %+v", text, c)
			}
		}
		if c.All && (c.Verb != Acknowledge && c.Verb != Silence || len(c.Codes) > 0) || c.Verb == Verify && len(c.Codes) != 1 {
			t.Errorf("%q is %+v", text, c)
		}
	})
}
