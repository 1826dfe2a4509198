package oncall

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating/gsm7"
)

// verb is what a reply asks for.
type verb string

const (
	verbAcknowledge verb = "acknowledge"
	verbSilence     verb = "silence"
	verbUndo        verb = "undo"
	verbStatus      verb = "status"
	verbWho         verb = "who"
	verbHelp        verb = "help"
	verbStop        verb = "stop"
	verbStart       verb = "start"
	verbVerify      verb = "verify"
	verbUnknown     verb = "unknown"
)

// command is a reply that was understood.
type command struct {
	verb  verb
	codes []string      // of pages, or of a verification
	all   bool          // every page is meant
	long  time.Duration // of a silence
}

// words are what people write for each verb, without accents and in lower case.
var words = map[string]verb{
	"ok": verbAcknowledge, "okay": verbAcknowledge, "oki": verbAcknowledge, "k": verbAcknowledge, "ack": verbAcknowledge, "acknowledge": verbAcknowledge,
	"acknowledged": verbAcknowledge, "yes": verbAcknowledge, "y": verbAcknowledge, "oui": verbAcknowledge, "+1": verbAcknowledge,
	"s": verbSilence, "silence": verbSilence, "mute": verbSilence, "snooze": verbSilence,
	"undo": verbUndo, "annuler": verbUndo,
	"?": verbStatus, "status": verbStatus, "open": verbStatus,
	"who": verbWho, "qui": verbWho, "duty": verbWho,
	"help": verbHelp, "aide": verbHelp, "h": verbHelp,
	"stop": verbStop, "start": verbStart,
}

// Codes of pages have 4 or 5 digits, those of verifications 6.
const (
	shortestCode = 4
	longestCode  = 5
	verifyCode   = 6
)

// alone are words that mean an answer only where nothing but a code is beside them.
var alone = []string{"yes", "y", "oui", "k", "+1"}

// fillers say nothing.
var fillers = []string{"the", "a", "code", "is", "it", "that", "this", "for", "my", "please", "pls", "now", "le", "la", "pour", "svp"}

// every means all pages.
var every = []string{"all", "tout", "tous", "toutes", "everything"}

// parseCommand reads a reply, typed by thumbs at night: case, accents and
// punctuation do not matter, "re" before the code is what the page itself says.
// What is not clearly a command is unknown; only an acknowledgement may be
// followed by other words.
func parseCommand(text string) command {
	tokens := tokenize(text)
	if len(tokens) > 0 && tokens[0] == "re" {
		tokens = tokens[1:]
	}
	unknown := command{verb: verbUnknown}
	var c command
	said, weak, chat := verbUnknown, false, false // chat: other words came, too
	verification := ""
	for i, token := range tokens {
		v, isVerb := words[token]
		long, isLong := parseLong(tokens, i)
		switch {
		case token == "" || slices.Contains(fillers, token):
		case isVerb && said == verbUnknown:
			said, weak = v, slices.Contains(alone, token)
		case isVerb && v == said: // "yes ok"
			weak = weak && slices.Contains(alone, token)
		case isDigits(token) && len(token) == verifyCode && verification == "":
			verification = token
		case isLong && c.long == 0:
			c.long = long
			if isDigits(token) {
				tokens[i+1] = "" // its unit
			}
		case isDigits(token) && len(token) >= shortestCode && len(token) <= longestCode:
			if !slices.Contains(c.codes, token) {
				c.codes = append(c.codes, token)
			}
		case slices.Contains(every, token):
			c.all = true
		case said == verbAcknowledge: // "ok on my way"
			chat = true
		default:
			return unknown
		}
	}
	switch {
	case verification != "" && (said == verbUnknown || said == verbAcknowledge) && !chat && !c.all && len(c.codes) == 0 && c.long == 0:
		return command{verb: verbVerify, codes: []string{verification}} // nothing else has so many digits
	case verification != "" && !chat, c.all && (len(c.codes) > 0 || said != verbAcknowledge), chat && weak:
		return unknown
	case said == verbUnknown && len(c.codes) > 0 && c.long > 0:
		c.verb = verbSilence
	case said == verbUnknown && len(c.codes) > 0:
		c.verb = verbAcknowledge
	default:
		c.verb = said
	}
	takesCode := c.verb == verbAcknowledge || c.verb == verbSilence || c.verb == verbUndo
	if (c.verb == verbSilence) != (c.long > 0) && c.verb != verbAcknowledge || len(c.codes) > 0 && !takesCode {
		return unknown
	}
	return c
}

// tokenize splits a text into words, numbers and "?", in lower case and without
// accents. A number and its unit ("2h") stay together.
func tokenize(text string) []string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(gsm7.Transliterate(text, textinghouse.Alphabet)))
	plain = strings.ReplaceAll(plain, "?", " ? ")
	fields := strings.FieldsFunc(plain, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '?' && r != '+'
	})
	const most = 40
	if len(fields) > most {
		fields = fields[:most]
	}
	// "ok?" asks nothing more.
	if len(fields) > 1 && fields[len(fields)-1] == "?" {
		fields = fields[:len(fields)-1]
	}
	return fields
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// units of a silence's length.
var units = map[string]time.Duration{
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minutes": time.Minute, "minute": time.Minute, "mn": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour, "heure": time.Hour, "heures": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour, "j": 24 * time.Hour, "jour": 24 * time.Hour, "jours": 24 * time.Hour,
}

// parseLong reads "2h", "90min", "1h30" or, in two words, "2 h".
func parseLong(tokens []string, i int) (time.Duration, bool) {
	token := tokens[i]
	if isDigits(token) && i+1 < len(tokens) && units[tokens[i+1]] > 0 {
		token += tokens[i+1]
	}
	var total time.Duration
	last := time.Duration(0) // the unit before
	for token != "" {
		n := strings.IndexFunc(token, func(r rune) bool { return !unicode.IsDigit(r) })
		if n == 0 || n > 3 || n < 0 && (last != time.Hour || len(token) > 2) {
			return 0, false
		}
		if n < 0 { // 1h30
			token += "m"
			n = len(token) - 1
		}
		amount, err := strconv.Atoi(token[:n])
		if err != nil {
			return 0, false
		}
		rest := token[n:]
		end := strings.IndexFunc(rest, unicode.IsDigit)
		if end < 0 {
			end = len(rest)
		}
		unit := units[rest[:end]]
		if unit == 0 || last != 0 && unit >= last {
			return 0, false
		}
		total += time.Duration(amount) * unit
		last, token = unit, rest[end:]
	}
	return total, total > 0
}
