package command

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/smspager/smspager/templating/gsm7"
)

// mostWords bounds the words that are read of a reply.
const mostWords = 40

// kind is what a word can be.
type kind int

const (
	other  kind = iota
	filler      // says nothing
	verb
	code   // of a page
	proof  // the code of a verification
	length // of a silence; its number and its unit may be two words
	all
)

// word is a word of a reply, classified.
type word struct {
	kind   kind
	text   string
	verb   Verb
	weak   bool // the verb means something only if no other words follow
	length time.Duration
}

// verbs are what people write for each verb, without accents and in lower case.
var verbs = map[string]Verb{
	"ok": Acknowledge, "okay": Acknowledge, "oki": Acknowledge, "k": Acknowledge, "ack": Acknowledge, "acknowledge": Acknowledge,
	"acknowledged": Acknowledge, "yes": Acknowledge, "y": Acknowledge, "oui": Acknowledge, "+1": Acknowledge,
	"s": Silence, "silence": Silence, "mute": Silence, "snooze": Silence,
	"undo": Undo, "annuler": Undo,
	"?": Status, "status": Status, "open": Status,
	"who": Who, "qui": Who, "duty": Who,
	"help": Help, "aide": Help, "h": Help,
	"stop": Stop, "start": Start,
}

var (
	weakVerbs = []string{"yes", "y", "oui", "k", "+1"}
	fillers   = []string{"the", "a", "code", "is", "it", "that", "this", "for", "my", "please", "pls", "now", "le", "la", "pour", "svp"}
	every     = []string{"all", "tout", "tous", "toutes", "everything"}
)

// units of a length.
var units = map[string]time.Duration{
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minutes": time.Minute, "minute": time.Minute, "mn": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour, "heure": time.Hour, "heures": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour, "j": 24 * time.Hour, "jour": 24 * time.Hour, "jours": 24 * time.Hour,
}

// lex splits a reply into classified words.
func lex(text string) []word {
	tokens := split(text)
	if len(tokens) > 0 && tokens[0] == "re" { // as the end of a page has it
		tokens = tokens[1:]
	}
	var words []word
	for i := 0; i < len(tokens); i++ {
		if digits(tokens[i]) && i+1 < len(tokens) && units[tokens[i+1]] > 0 { // "2 h"
			if d := parseLength(tokens[i] + tokens[i+1]); d > 0 {
				words = append(words, word{kind: length, length: d})
				i++
				continue
			}
		}
		words = append(words, classify(tokens[i]))
	}
	return words
}

func classify(token string) word {
	w := word{text: token}
	w.verb, w.length = verbs[token], parseLength(token)
	switch n := len(token); {
	case slices.Contains(fillers, token):
		w.kind = filler
	case w.verb != "":
		w.kind, w.weak = verb, slices.Contains(weakVerbs, token)
	case w.length > 0:
		w.kind = length
	case digits(token) && n == VerifyCode:
		w.kind = proof
	case digits(token) && n >= ShortestCode && n <= LongestCode:
		w.kind = code
	case slices.Contains(every, token):
		w.kind = all
	}
	return w
}

// split returns the words, numbers and question marks of a text, in lower case and without accents.
// A number and its unit ("2h") are one.
func split(text string) []string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(gsm7.Transliterate(text, "")))
	plain = strings.ReplaceAll(plain, "?", " ? ")
	tokens := strings.FieldsFunc(plain, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '?' && r != '+'
	})
	tokens = tokens[:min(len(tokens), mostWords)]
	if n := len(tokens); n > 1 && tokens[n-1] == "?" { // "ok?" asks nothing more
		tokens = tokens[:n-1]
	}
	return tokens
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// parseLength reads "2h", "90min" or "1h30". It returns 0 if the token is no length.
func parseLength(token string) (total time.Duration) {
	last := time.Duration(0) // the unit before
	for token != "" {
		n := strings.IndexFunc(token, func(r rune) bool { return !unicode.IsDigit(r) })
		if n == 0 || n > 3 || n < 0 && (last != time.Hour || len(token) > 2) {
			return 0
		}
		if n < 0 { // 1h30
			token += "m"
			n = len(token) - 1
		}
		amount, err := strconv.Atoi(token[:n])
		if err != nil {
			return 0
		}
		rest := token[n:]
		end := strings.IndexFunc(rest, unicode.IsDigit)
		if end < 0 {
			end = len(rest)
		}
		unit := units[rest[:end]]
		if unit == 0 || last != 0 && unit >= last {
			return 0
		}
		total += time.Duration(amount) * unit
		last, token = unit, rest[end:]
	}
	return total
}
