package templating

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unexpanded begins an annotation whose template Prometheus could not expand
// (prometheus/prometheus, rules/alerting.go: "<error expanding template: %s>").
const unexpanded = "<error expanding template"

// words returns the words of an annotation, without terminal colors, HTML, Markdown links and
// emphasis, and with single spaces. Line ends remain, as they may end a sentence. It returns "" for
// an annotation that is blank, or that Prometheus could not expand.
func words(annotation string) string {
	s := strings.TrimSpace(capped(annotation))
	if s == "" || strings.HasPrefix(s, unexpanded) {
		return ""
	}
	if strings.ContainsRune(s, '\x1b') {
		s = withoutColors(s)
	}
	if strings.ContainsRune(s, '<') {
		s = withoutTags(s)
	}
	for range 3 { // an entity may be encoded more than once
		if !strings.ContainsRune(s, '&') {
			break
		}
		s = html.UnescapeString(s)
	}
	if strings.Contains(s, "](") {
		s = withoutLinks(s)
	}
	if strings.Contains(s, `\n`) {
		s = strings.ReplaceAll(s, `\n`, "\n")
	}
	s = strings.ReplaceAll(s, "<no value>", "")
	if strings.Contains(s, "{%") { // from a template engine in front of Prometheus
		s = strings.NewReplacer("{% raw %}", "", "{% endraw %}", "").Replace(s)
	}
	if strings.ContainsAny(s, "`*") {
		s = strings.NewReplacer("`", "", "**", "").Replace(s)
	}
	return strings.TrimSpace(singleSpaces(s))
}

// longestAnnotation is how many bytes of an annotation are read. Ten segments hold a fifth of that.
const longestAnnotation = 8 << 10

// capped returns the beginning of a long annotation.
func capped(annotation string) string {
	if len(annotation) <= longestAnnotation {
		return annotation
	}
	return strings.ToValidUTF8(annotation[:longestAnnotation], "")
}

// withoutColors removes ECMA-48 control sequences, with which programs color a terminal.
func withoutColors(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		s = after
		if strings.HasPrefix(s, "]") { // an operating system command, such as a link: up to BEL or ESC \
			if end := strings.IndexAny(s, "\a\x1b"); end >= 0 {
				s = strings.TrimPrefix(s[end:], "\a")
				s = strings.TrimPrefix(s, "\x1b\\")
			}
			continue
		}
		if strings.HasPrefix(s, "[") {
			if end := strings.IndexFunc(s[1:], func(r rune) bool { return r >= '@' && r <= '~' }); end >= 0 {
				s = s[1+end+1:]
			}
		}
	}
}

// htmlElements lists the elements that annotations contain; other text in angle brackets remains.
// True means that the element is separated from the words around it.
var htmlElements = map[string]bool{
	"a": false, "b": false, "code": false, "em": false, "font": false, "i": false, "s": false, "span": false, "strong": false, "u": false, "img": false, "small": false, "mark": false, "kbd": false, "sub": false, "sup": false, "tt": false,
	"br": true, "div": true, "h1": true, "h2": true, "h3": true, "h4": true, "hr": true, "li": true, "ol": true, "p": true, "pre": true,
	"center": true, "table": true, "tbody": true, "td": true, "th": true, "tr": true, "ul": true,
}

// withoutTags removes the tags of HTML. A link in Slack's form, <URL|words>, becomes its words.
func withoutTags(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "<")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexAny(after, "<>")
		if end < 0 || after[end] == '<' {
			b.WriteByte('<')
			s = after
			continue
		}
		tag := after[:end]
		name := strings.ToLower(strings.TrimPrefix(tag, "/"))
		attributes := ""
		if i := strings.IndexFunc(name, func(r rune) bool { return r == '/' || unicode.IsSpace(r) }); i >= 0 {
			name, attributes = name[:i], strings.Trim(name[i:], " /")
		}
		apart, isElement := htmlElements[name]
		isElement = isElement && (attributes == "" || strings.Contains(attributes, "="))
		url, label, isLink := strings.Cut(tag, "|")
		switch {
		case name == "style" || name == "script":
			if _, rest, closed := strings.Cut(after, "</"+name+">"); closed {
				after, end = rest, -1
			}
		case strings.HasPrefix(tag, "!"): // Slack's <!channel>
		case isElement && apart:
			b.WriteByte(' ')
		case isElement:
		case isLink && strings.Contains(url, "://"):
			b.WriteString(label)
		default:
			b.WriteByte('<')
			s = after
			continue
		}
		s = after[end+1:]
	}
}

// withoutLinks replaces Markdown's [words](URL) by the words.
func withoutLinks(s string) string {
	var b strings.Builder
	for {
		middle := strings.Index(s, "](")
		if middle < 0 {
			b.WriteString(s)
			return b.String()
		}
		begin, end := strings.LastIndexByte(s[:middle], '['), strings.IndexByte(s[middle:], ')')
		if begin < 0 || end < 0 {
			b.WriteString(s[:middle+2])
			s = s[middle+2:]
			continue
		}
		b.WriteString(s[:begin])
		b.WriteString(s[begin+1 : middle])
		s = s[middle+end+1:]
	}
}

// singleSpaces replaces white space by one space, or by one line end if it contains one.
func singleSpaces(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c == '\t' || c == '\r' || c >= utf8.RuneSelf || c <= ' ' && i > 0 && s[i-1] <= ' ' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	gap := byte(0)
	for _, r := range s {
		switch {
		case r == '\n':
			gap = '\n'
		case unicode.IsSpace(r):
			if gap != '\n' {
				gap = ' '
			}
		default:
			if gap != 0 && b.Len() > 0 {
				b.WriteByte(gap)
			}
			gap = 0
			b.WriteRune(r)
		}
	}
	return b.String()
}

// sentences splits words into sentences, without their full stops. Line ends that do
// not end a sentence become spaces.
func sentences(s string) []string {
	var all []string
	begin := 0
	add := func(end int) {
		if one := strings.TrimRight(strings.TrimSpace(s[begin:end]), ".;"); one != "" {
			all = append(all, strings.ReplaceAll(one, "\n", " "))
		}
		begin = end
	}
	for i := 1; i < len(s)-1; i++ {
		switch c := s[i]; {
		case c == '\n' && endsLine(s[begin:i], s[i+1:]):
			add(i)
		case c == ' ' && strings.IndexByte(".!?", s[i-1]) >= 0 && beginsSentence(s[i+1:]) && !endsAbbreviated(s[begin:i]):
			add(i)
		}
	}
	add(len(s))
	return all
}

// endsLine reports whether the end of a line also ends a sentence.
func endsLine(before, after string) bool {
	last := before[len(before)-1]
	r, _ := utf8.DecodeRuneInString(after)
	return strings.IndexByte(".!?:;", last) >= 0 || unicode.IsUpper(r) || r == '-' || r == '*'
}

func beginsSentence(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r) || unicode.IsDigit(r) || strings.ContainsRune(`"'([/*-`, r)
}

// endsAbbreviated reports whether a full stop belongs to an abbreviation.
func endsAbbreviated(s string) bool {
	word := strings.ToLower(strings.Trim(s[strings.LastIndexByte(s, ' ')+1:], `.("'`))
	switch word {
	case "e.g", "i.e", "etc", "vs", "approx", "no", "min", "max", "avg", "incl", "resp", "cf", "st":
		return true
	}
	return len(word) == 1 && unicode.IsLetter(rune(word[0]))
}

// adviceBegins lists the first words of sentences that say what to do, or what may follow, not what
// is wrong.
var adviceBegins = []string{
	"check ", "please ", "see ", "consider ", "investigate ", "verify ", "make sure", "ensure ", "inspect ", "look ", "run the ", "this may", "this might", "this could",
	"this can ", "this usually", "this often", "this means", "this indicates", "this alert", "possible cause", "possibly", "restart ", "review ", "contact ", "refer ", "more info",
	"runbook", "for more", "for details", "try ", "take ", "you ", "it is recommended", "it is advised", "action:", "increase the ", "add ", "if ", "use the ", "visit ", "read the ", "follow ",
	"they may", "it may", "it might", "it could", "there may be", "there might be", "that may", "remediation", "impact:", "call ", "escalate ", "wait ", "ask ", "usually ", "typically ", "the alert fires", "the alert is", "is caused", "we recommend", "http://", "https://", "debug ", "resolve ", "fix ", "dashboard:", "find the ", "immediately ", "scraping of ",
}

func isAdvice(sentence string) bool {
	s := strings.ToLower(sentence[:min(24, len(sentence))])
	for _, begin := range adviceBegins {
		if strings.HasPrefix(s, begin) {
			return true
		}
	}
	return strings.Contains(sentence, " may indicate") || strings.Contains(sentence, " might indicate") || strings.HasSuffix(sentence, " rate check")
}

// isWordByte reports whether a byte continues a name: letters, digits and "_".
func isWordByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '_' || b >= utf8.RuneSelf
}

// index returns the position of a value in a text as whole words, or -1.
func index(text, value string) int {
	if value == "" {
		return -1
	}
	for from := 0; ; {
		i := strings.Index(text[from:], value)
		if i < 0 {
			return -1
		}
		i += from
		end := i + len(value)
		if bounded(text, i, end) {
			return i
		}
		from = i + 1
	}
}

// bounded reports whether text[i:end] is not part of a longer name.
func bounded(text string, i, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[end:])
	if i > 0 && isWordRune(before) && isWordByte(text[i]) {
		return false
	}
	if end < len(text) && isWordRune(after) && isWordByte(text[end-1]) {
		return false
	}
	// "web-2" does not name "web", nor "2.5" the value "2".
	if i > 1 && (text[i-1] == '-' || text[i-1] == '.') && isWordByte(text[i-2]) {
		return false
	}
	if end < len(text)-1 && (text[end] == '-' || text[end] == '.') && isWordByte(text[end+1]) {
		return false
	}
	return true
}

// isWordRune reports whether a rune continues a name in Latin or similar letters. Runes of scripts
// without spaces do not.
func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return isWordByte(byte(r))
	}
	const cjk = 0x2E80 // and everything after
	return r < cjk && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
