package command

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/smspager/smspager/templating/gsm7"
)

// maxWords is how many words of a reply are read.
const maxWords = 60

// kind is the class of a word.
type kind int

const (
	other  kind = iota
	filler      // without meaning
	verb
	code   // the code of a page
	proof  // the code of a verification
	length // the length of a silence, written as one word or two: "2h", "two hours"
	until  // when a silence ends
	everything
	refusal
	machine  // a phrase that machines write
	question // a question mark at the end
)

// word is a classified word or phrase of a reply.
type word struct {
	kind   kind
	text   string
	verb   Verb
	weak   bool // it counts only without other words: "yes", "two hours"
	length time.Duration
}

// lex splits a reply into classified words.
func lex(text string) []word {
	tokens := split(text)
	if len(tokens) > 0 && tokens[0] == "re" { // copied from the end of a page's text
		tokens = tokens[1:]
	}
	asks := false
	if last := len(tokens) - 1; last > 0 {
		_, phrase := next(tokens) // "is goed" is not a question
		asks = tokens[last] == "?" || vocabulary.askers[tokens[0]] && tokens[1] != "t" && phrase == 1
		if tokens[last] == "?" {
			tokens = tokens[:last]
		}
	}
	var words []word
	for len(tokens) > 0 {
		w, used := next(tokens)
		tokens = tokens[used:]
		last := len(words) - 1
		if w.kind == length && last >= 0 && words[last].kind == length && w.length < words[last].length { // "1h 30m"
			words[last].length += w.length
			continue
		}
		words = append(words, w)
	}
	if asks {
		words = append(words, word{kind: question})
	}
	return words
}

// next classifies the phrase or word at the start of tokens, and returns how many tokens it uses.
func next(tokens []string) (w word, used int) {
	for n := min(longestPhrase, len(tokens)); n > 0; n-- {
		if w, known := vocabulary.phrases[strings.Join(tokens[:n], " ")]; known {
			w.text = tokens[0]
			return w, n
		}
	}
	if w, used := dictated(tokens); used > 0 {
		return w, used
	}
	if number, n := numeral(tokens); n > 0 && n < len(tokens) && vocabulary.units[tokens[n]] > 0 { // "2 h", "two hours"
		if d := parseLength(number + tokens[n]); d > 0 {
			return word{kind: length, length: d, weak: number != tokens[0]}, n + 1
		}
	}
	if d := parseLength(tokens[0]); d > 0 {
		if len(tokens) > 1 && len(tokens[1]) == 2 && parseLength(tokens[0]+tokens[1]) > 0 { // "1h 30"
			return word{kind: length, length: parseLength(tokens[0] + tokens[1])}, 2
		}
		return word{kind: length, length: d}, 1
	}
	return classify(tokens[0]), 1
}

// dictated reads a code that dictation has written in groups of digits or as words: "6,279", "62 79",
// "six two seven nine". used is 0 if tokens begin with none.
func dictated(tokens []string) (w word, used int) {
	joined := ""
	for used < len(tokens) {
		number, n := numeral(tokens[used:])
		if n == 0 || len(number) >= ShortestCode || used+n < len(tokens) && vocabulary.units[tokens[used+n]] > 0 {
			break
		}
		joined += number
		used += n
	}
	if used < 2 || len(joined) < ShortestCode || len(joined) > VerifyCode {
		return word{}, 0
	}
	return classify(joined), used
}

// numeral reads the number that tokens begin with, in digits or words ("62", "six", "sixty two"). used is
// 0 if they begin with none.
func numeral(tokens []string) (number string, used int) {
	if digits(tokens[0]) {
		return tokens[0], 1
	}
	n, ok := vocabulary.numbers[tokens[0]]
	if !ok {
		return "", 0
	}
	if n >= 20 && n%10 == 0 && len(tokens) > 1 {
		if more, ok := vocabulary.numbers[tokens[1]]; ok && more > 0 && more < 10 {
			return strconv.Itoa(n + more), 2
		}
	}
	return strconv.Itoa(n), 1
}

func classify(token string) word {
	w := word{text: token}
	switch n := len(token); {
	case strings.HasPrefix(token, "@"):
		w.kind = until
	case digits(token) && n == VerifyCode:
		w.kind = proof
	case digits(token) && n >= ShortestCode && n <= LongestCode:
		w.kind = code
	default:
		if known, ok := vocabulary.phrases[squeeze(token)]; ok && !digits(token) && n > 2 { // "okkk", "stopp"
			return known
		}
	}
	return w
}

// squeeze reduces repeated letters to one.
func squeeze(token string) string {
	last := rune(0)
	return strings.Map(func(r rune) rune {
		if r == last {
			return -1
		}
		last = r
		return r
	}, token)
}

var (
	// dotted matches "O.K." and "o k".
	dotted = regexp.MustCompile(`\bo[. ]k\b\.?`)
	// decimal matches "1.5h".
	decimal = regexp.MustCompile(`\b(\d{1,2})[.,](\d)\s*(h|hr|hrs|hours?|heures?|stunden|horas|ore|uur)\b`)
	// clock matches "until 7am" in the languages of words.tsv.
	clock = regexp.MustCompile(`\b(?:until|untill|till|til|bis|jusqu.?a|hasta|fino|sino|tot|ate)(?: (?:las?|alle|all.|as|um|zu|at|le|a))?\s+(\d{1,2})(?:[:.h](\d{2}))?\s*(am|pm|a\.m\.?|p\.m\.?|h|uhr|uur|heures|horas|ore|o.?clock)?(?:\s|$|[^\w])`)
	// glued matches a word and a number without a space between them: "ok6279", "6279ok".
	glued = regexp.MustCompile(`\b([a-z]{1,12})(\d{4,6})\b|\b(\d{4,6})([a-z]{2,12})\b`)
	// tag matches an HTML tag.
	tag = regexp.MustCompile(`</?[a-zA-Z][^<>]{0,80}>`)
)

// split returns the words, numbers and question marks of a text, in lower case and without accents.
// A number with its unit ("2h") is one word; "@0700" is the end of a silence.
func split(text string) []string {
	text = emoji(tag.ReplaceAllString(text, " "))
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(gsm7.Transliterate(text, "")))
	plain = strings.NewReplacer("@", " ", "ß", "ss").Replace(plain)
	plain = dotted.ReplaceAllString(plain, "ok ")
	plain = decimal.ReplaceAllStringFunc(plain, func(s string) string {
		m := decimal.FindStringSubmatch(s)
		hours, _ := strconv.Atoi(m[1])
		tenths, _ := strconv.Atoi(m[2])
		return strconv.Itoa(hours*60+tenths*6) + "min"
	})
	plain = clock.ReplaceAllStringFunc(plain, endOfSilence)
	plain = glued.ReplaceAllString(plain, "$1$3 $2$4")
	plain = strings.ReplaceAll(plain, "?", " ? ")
	tokens := strings.FieldsFunc(plain, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '?' && r != '+' && r != '@'
	})
	return tokens[:min(len(tokens), maxWords)]
}

// endOfSilence rewrites "until 7am" as "@0700".
func endOfSilence(s string) string {
	m := clock.FindStringSubmatch(s)
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	switch half := strings.ReplaceAll(m[3], ".", ""); {
	case half == "pm" && hour < 12:
		hour += 12
	case half == "am" && hour == 12:
		hour = 0
	}
	if hour > 23 || minute > 59 {
		return s
	}
	return " @" + time.Date(1, 1, 1, hour, minute, 0, 0, time.UTC).Format("1504") + " "
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// parseLength reads "2h", "90min" or "1h30". It returns 0 if the token is not a length.
func parseLength(token string) (total time.Duration) {
	last := time.Duration(0) // the previous unit
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
		unit := vocabulary.units[rest[:end]]
		if unit == 0 || last != 0 && unit >= last {
			return 0
		}
		total += time.Duration(amount) * unit
		last, token = unit, rest[end:]
	}
	return total
}
