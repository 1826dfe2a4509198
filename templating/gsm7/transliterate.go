package gsm7

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/anyascii/go"
	"golang.org/x/text/unicode/norm"
)

// Transliterate writes a text with the characters of an alphabet. The input may be any bytes. A
// character that is not in the alphabet becomes one or more that are, by a table of what alerts
// contain and by anyascii for the rest of Unicode, or is left out. Inside a URL it is
// percent-encoded, so that the address stays the same. If nothing of a non-empty text remains, the
// result is "?", provided that the alphabet has it. A second call changes nothing.
func Transliterate(s string, to Alphabet) string {
	m := to.members()
	if m.haveAll(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	m.spell(s, func(_ rune, to string) { b.WriteString(to) })
	if b.Len() == 0 && m.has('?') {
		return "?"
	}
	return b.String()
}

// Change is a character that Transliterate replaces.
type Change struct {
	From  string `json:"from"`  // the character
	To    string `json:"to"`    // its replacement, "" if it is left out
	Count int    `json:"count"` // number of occurrences
}

// Changes returns what Transliterate replaces in a text, in the order of first appearance.
func Changes(s string, to Alphabet) []Change {
	var changes []Change
	type change struct {
		from rune
		to   string
	}
	at := make(map[change]int)
	m := to.members()
	m.spell(s, func(r rune, to string) {
		if word, ok := pictographs[r]; ok && !strings.HasPrefix(to, "%") {
			to = word
		}
		if to == string(r) {
			return
		}
		i, seen := at[change{r, to}]
		if !seen {
			i = len(changes)
			at[change{r, to}] = i
			changes = append(changes, Change{From: string(r), To: to})
		}
		changes[i].Count++
	})
	return changes
}

// haveAll reports whether every character of a text is in the alphabet.
func (m *members) haveAll(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			for _, r := range s[i:] {
				if !m.has(r) {
					return false
				}
			}
			// Letters with separate accents are not in any alphabet.
			return true
		}
		if !m.has(rune(s[i])) {
			return false
		}
	}
	return true
}

// spell calls emit with each character of a text in NFC, and with its replacement.
func (m *members) spell(s string, emit func(from rune, to string)) {
	s = norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD"))
	previous, last := rune(0), byte(0) // the last character read, and the last byte written
	url := nextURL(s, 0)
	for i, r := range s {
		to, rest := s[i:i+utf8.RuneLen(r)], s[i+utf8.RuneLen(r):]
		if i >= url.end {
			url = nextURL(s, i)
		}
		if i >= url.begin && !m.has(r) {
			to = m.only(percentEncoded(to))
		} else if r >= utf8.RuneSelf || !m.has(r) {
			if word, ok := pictographs[r]; ok {
				to = m.only(amid(last, word, rest))
			} else if !m.has(r) {
				to = m.only(m.spelling(r, previous, rest))
			}
		}
		if r != '\n' || previous != '\r' { // CRLF is one line end
			emit(r, to)
		}
		if to != "" {
			last = to[len(to)-1]
		}
		previous = r
	}
}

// only removes the characters that the alphabet lacks.
func (m *members) only(s string) string {
	if m.haveAll(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case m.has(r):
			return r
		case r == '\n' && m.has(' '):
			return ' '
		}
		return -1
	}, s)
}

// span is a part of a text, in bytes.
type span struct{ begin, end int }

// nextURL returns the part after the scheme of the first URL that ends after from, or an empty span
// at the end of the text.
func nextURL(s string, from int) span {
	scheme := strings.Index(s[from:], "://")
	if scheme < 0 {
		return span{len(s), len(s)}
	}
	begin := from + scheme + len("://")
	end := strings.IndexFunc(s[begin:], func(r rune) bool {
		return r <= ' ' || unicode.IsSpace(r) || strings.ContainsRune("\"<>`“”„‘’«»‹›、。，；：（）「」『』【】…", r)
	})
	if end < 0 {
		return span{begin, len(s)}
	}
	return span{begin, begin + end}
}

// percentEncoded writes a character as URLs do (RFC 3986, 2.1).
func percentEncoded(character string) string {
	var b strings.Builder
	for i := range len(character) {
		fmt.Fprintf(&b, "%%%02X", character[i])
	}
	return b.String()
}

// amid separates the word for a pictograph from the letters and digits around it.
func amid(last byte, word, rest string) string {
	next, _ := utf8.DecodeRuneInString(strings.TrimPrefix(rest, "\uFE0F"))
	if isAlphanumeric(last) && isAlphanumeric(word[0]) {
		word = " " + word
	}
	if isAlphanumeric(word[len(word)-1]) && (unicode.IsLetter(next) || unicode.IsDigit(next)) {
		word += " "
	}
	return word
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
}

// spelling returns the replacement of a character that is not allowed, which depends on the
// character before it and on the text after it.
func (m *members) spelling(r, previous rune, rest string) string {
	if r == '\n' {
		return "\n" // which only makes a space
	}
	next, _ := utf8.DecodeRuneInString(rest)
	inGreekWord := unicode.Is(unicode.Greek, r) && (unicode.Is(unicode.Greek, previous) || unicode.Is(unicode.Greek, next))
	if to, ok := readable[r]; ok && !inGreekWord { // outside words, μ and Ω are units
		return to
	}
	switch {
	case unicode.Is(unicode.Zs, r):
		return " "
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Variation_Selector), skinTone(r):
		return ""
	}
	ascii := anyascii.TransliterateRune(r)
	if len(ascii) > 2 && ascii[0] == ':' && ascii[len(ascii)-1] == ':' {
		return "" // the name of an emoji: long, and rarely informative
	}
	return strings.Map(func(r rune) rune {
		switch {
		case m.has(r):
			return r
		case r == '_':
			return '-'
		case r == '`':
			return '\''
		case r == '\\':
			return '/'
		}
		return -1
	}, ascii)
}

func skinTone(r rune) bool { return r >= 0x1F3FB && r <= 0x1F3FF }

// readable maps characters that alerts contain to their most readable spelling.
var readable = map[rune]string{
	'_': "-", '`': "'", '\\': "/", '\t': " ", '\r': "\n", '\v': "\n", '\f': "\n",
	'\u0085': "\n", '\u2028': "\n", '\u2029': "\n",
	'\uFFFD': "?",
	'€':      "EUR", '¥': "JPY", '¢': "c", '©': "(c)", '®': "(r)", '™': "(tm)",
	'°': "deg", '℃': "degC", '℉': "degF", 'µ': "u", 'μ': "u", 'Ω': "Ohm", '№': "no.", '‰': "o/oo",
	'²': "2", '³': "3", '¹': "1", '½': "1/2", '¼': "1/4", '¾': "3/4",
	'≥': ">=", '≤': "<=", '≠': "!=", '≈': "~", '±': "+/-", '×': "x", '÷': "/", '−': "-", '∞': "inf", '√': "sqrt", '∑': "sum", '∆': "delta",
	'→': "->", '←': "<-", '↔': "<->", '⇒': "=>", '⇐': "<=", '↑': "up", '↓': "down", '➡': "->", '⬅': "<-", '⬆': "up", '⬇': "down",
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", 'ʼ': "'", '‹': "'", '›': "'",
	'“': "\"", '”': "\"", '„': "\"", '‟': "\"", '″': "\"", '«': "\"", '»': "\"",
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '­': "", '¯': "-",
	'…': "...", '·': ".", '•': "-", '‣': "-", '◦': "-", '▪': "-", '¦': "|", '¬': "not ", '¶': "\n",
	'ç': "c", 'ª': "a", 'º': "o",
}

// pictographs maps pictographs that alerts contain to words. amid separates them from the letters
// and digits around them.
var pictographs = map[rune]string{
	'🔥': "FIRE", '🚨': "ALERT", '⚠': "!", '❗': "!", '‼': "!!", '❓': "?", '❔': "?",
	'✅': "OK", '✔': "OK", '☑': "OK", '👍': "+1", '👎': "-1", '🆗': "OK",
	'❌': "X", '✖': "X", '✗': "X", '✘': "X", '⛔': "STOP", '🛑': "STOP", '🚫': "NO",
	'🔴': "RED", '🟠': "ORANGE", '🟡': "YELLOW", '🟢': "GREEN", '🔵': "BLUE", '⚪': "WHITE", '⚫': "BLACK",
	'🟥': "RED", '🟧': "ORANGE", '🟨': "YELLOW", '🟩': "GREEN", '🟦': "BLUE", '⬜': "WHITE", '⬛': "BLACK",
	'💀': "DEAD", '☠': "DEAD", '💥': "CRASH", '📈': "up", '📉': "down", 'ℹ': "i", '🆘': "SOS",
}

// Cheap replaces characters that take two septets by similar ones that take one: "(" for "[" and
// "{", "/" for "|" and "\". URLs stay unchanged.
func Cheap(s string) string {
	if !strings.ContainsAny(s, `[]{}|\`) {
		return s
	}
	var b strings.Builder
	for from := 0; from < len(s); {
		url := nextURL(s, from)
		b.WriteString(cheaper.Replace(s[from:url.begin]))
		b.WriteString(s[url.begin:url.end])
		from = url.end
	}
	return b.String()
}

var cheaper = strings.NewReplacer("[", "(", "]", ")", "{", "(", "}", ")", "|", "/", `\`, "/")
