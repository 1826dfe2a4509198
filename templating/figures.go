package templating

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// figure is a number in a text, with its unit: "2.72%", "97 GiB".
type figure struct {
	at, end int     // its bytes, the unit included
	number  float64 // without its unit
	text    string  // rounded, with its unit
	// constant reports whether the rule's author wrote the number, as in the length of a window
	// ("for 15 minutes") or a threshold ("above 80%"). Otherwise it was measured.
	constant bool
}

// span is a part of a text, in bytes.
type span struct{ at, end int }

func (s span) covers(i int) bool { return s.at <= i && i < s.end }

// figures returns the numbers of a text that are not part of a name, an address, a version or one
// of the spans.
func figures(s string, names []span) []figure {
	var all []figure
	names = append(slices.Clip(names), urls(s)...)
next:
	for i := 0; i < len(s); {
		if s[i] < '0' || s[i] > '9' {
			i++
			continue
		}
		end := numberEnd(s, i)
		if !standsAlone(s, i, end) {
			i = nameEnd(s, end)
			continue
		}
		for _, name := range names {
			if name.covers(i) {
				i = max(end, name.end)
				continue next
			}
		}
		number, err := parseNumber(s[i:end])
		if err != nil || math.IsInf(number, 0) {
			i = end
			continue
		}
		f := figure{at: i, number: number}
		if i > 0 && s[i-1] == '.' { // ".5"
			f.at, f.number = i-1, number/math.Pow10(end-i)
		}
		if i > 0 && s[i-1] == '-' { // standsAlone: at the start or after a space
			f.at, f.number = i-1, -number
		}
		f.end = unitEnd(s, end)
		f.text = rounded(s[i:end]) + s[end:f.end]
		switch {
		case f.at < i && s[f.at] == '-':
			f.text = "-" + f.text
		case f.at < i:
			f.text = "0." + s[i:f.end]
		}
		if s[end:f.end] == "m" && strings.Contains(s[i:end], ".") { // Prometheus's prefix for a thousandth, not minutes
			f.number /= 1000
			f.text = rounded(strconv.FormatFloat(f.number, 'f', -1, 64))
		}
		f.constant = isConstant(s, f.at, end, f.end)
		if whole := wholeEnd(s, f.end); whole > f.end { // "2 of 5"
			f.text, f.end = f.text+s[f.end:whole], whole
		}
		all = append(all, f)
		i = f.end
	}
	for i := range all { // a measured figure must not round to another figure, such as its limit
		for j := range all {
			if f := &all[i]; !f.constant && f.number != all[j].number && sameNumber(f.text, all[j].text) {
				f.text = s[f.at:f.end]
			}
		}
	}
	return all
}

// sameNumber reports whether two figures look the same apart from their units.
func sameNumber(a, b string) bool {
	return strings.TrimRight(a, "% °CFmskMGTBi/") == strings.TrimRight(b, "% °CFmskMGTBi/")
}

// urls returns the URLs of a text, each from its "://" on.
func urls(s string) []span {
	var all []span
	for from := 0; ; {
		scheme := strings.Index(s[from:], "://")
		if scheme < 0 {
			return all
		}
		begin := from + scheme
		from = len(s)
		if end := strings.IndexByte(s[begin:], ' '); end >= 0 {
			from = begin + end
		}
		all = append(all, span{begin, from})
	}
}

// wholeEnd returns the end of " of 5" after a number, or i if there is none.
func wholeEnd(s string, i int) int {
	for _, between := range [...]string{" of ", " out of "} {
		if rest, found := strings.CutPrefix(s[i:], between); found && rest != "" && isDigit(rest[0]) {
			if end := i + len(between) + numberEnd(rest, 0); end == len(s) || !isWordByte(s[end]) {
				return end
			}
		}
	}
	return i
}

// numberEnd returns the end of the number that begins at i: digits, a fraction, an
// exponent, and commas between thousands.
func numberEnd(s string, i int) int {
	digit := func(j int) bool { return j < len(s) && s[j] >= '0' && s[j] <= '9' }
	end := i
	for digit(end) {
		end++
	}
	for end < len(s) && s[end] == ',' && digit(end+1) && digit(end+2) && digit(end+3) && !digit(end+4) {
		end += 4
	}
	if end < len(s)-1 && s[end] == ',' && digit(end+1) && !strings.Contains(s[i:end], ",") { // a decimal comma
		fraction := end + 1
		for digit(fraction) {
			fraction++
		}
		if n := fraction - end - 1; n != 3 {
			return fraction
		}
	}
	if end < len(s) && s[end] == '.' && digit(end+1) {
		for end++; digit(end); {
			end++
		}
	}
	if end < len(s)-1 && (s[end] == 'e' || s[end] == 'E') {
		exponent := end + 1
		if s[exponent] == '+' || s[exponent] == '-' {
			exponent++
		}
		if digit(exponent) {
			for end = exponent; digit(end); {
				end++
			}
		}
	}
	return end
}

// standsAlone reports whether s[i:end] is a number by itself and not part of a name
// ("db-01"), an address ("10.9.8.7", "host:9100"), a path or a version.
func standsAlone(s string, i, end int) bool {
	if i > 0 {
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		if isWordRune(before) || strings.IndexByte("-./:#@", s[i-1]) >= 0 && i > 1 && s[i-2] != ' ' && s[i-2] != '(' {
			return false
		}
	}
	if end == len(s) {
		return true
	}
	after, _ := utf8.DecodeRuneInString(s[end:])
	switch c := s[end]; {
	case c == '.' || c == ':' || c == '/' || c == '-':
		if end+1 < len(s) && isWordByte(s[end+1]) {
			return c == '/' && unitEnd(s, end) > end
		}
	case isWordRune(after):
		return unitEnd(s, end) > end
	}
	return true
}

// nameEnd returns the end of a name that continues at i.
func nameEnd(s string, i int) int {
	for i < len(s) && (isWordByte(s[i]) || strings.IndexByte("-.:/", s[i]) >= 0) {
		i++
	}
	return max(i, 1)
}

// Words before a constant, and units after it.
var (
	constantAfter = []string{
		"above", "below", "over", "under", "than", "exceeds", "exceeded", "exceeding", "threshold", "limit", "least", "most", "last", "past", "within", "every", "for", "in", "next",
		"longer", ">", "<", ">=", "<=", "during", "since", "following", "around", "about", "avoid", "reach", "reaches", "reached", "crossed", "crosses",
	}
	timeUnits = []string{"second", "minute", "min", "hour", "day", "week", "month", "year", "hr", "sec"}
)

// isConstant reports whether the rule's author wrote the figure s[i:end], whose unit ends at
// unitEnd.
func isConstant(s string, i, end, unitEnd int) bool {
	if _, fraction, found := strings.Cut(s[i:end], "."); found && len(fraction) >= 3 { // nobody writes so many digits
		return false
	}
	before := strings.TrimRight(s[:i], " (=:~")
	word := strings.ToLower(strings.TrimLeft(before[strings.LastIndexByte(before, ' ')+1:], `("'[`))
	if before, found := strings.CutSuffix(before, " of"); found { // "threshold of", "limit of"
		word = strings.ToLower(before[strings.LastIndexByte(before, ' ')+1:])
	}
	behind := strings.TrimLeft(s[unitEnd:], " ")
	ofTime := false
	for _, unit := range timeUnits {
		if strings.HasPrefix(behind, unit) {
			ofTime = true
		}
	}
	if unit := s[end:unitEnd]; unit == "m" || unit == "h" || unit == "d" || unit == "min" || unit == "hours" || unit == "w" {
		ofTime = true
	}
	for _, lead := range constantAfter {
		if word == lead {
			return ofTime || word != "for" && word != "in" && word != "since"
		}
	}
	return false
}

// rounded returns a number with three digits, or with all digits before the point if there are
// more.
func rounded(number string) string {
	if positive, negative := strings.CutPrefix(number, "-"); negative {
		return "-" + rounded(positive)
	}
	if whole, fraction, comma := strings.Cut(number, ","); comma && len(fraction) != 3 && !strings.ContainsAny(fraction, ".,") {
		return strings.Replace(rounded(whole+"."+fraction), ".", ",", 1)
	}
	whole, fraction, _ := strings.Cut(number, ".")
	if strings.ContainsAny(number, "eE") {
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return number
		}
		for _, large := range [...]struct {
			factor float64
			prefix string
		}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}} {
			if math.Abs(n) >= large.factor {
				return rounded(strconv.FormatFloat(n/large.factor, 'f', -1, 64)) + large.prefix
			}
		}
		return rounded(strconv.FormatFloat(n, 'f', -1, 64))
	}
	digits := len(strings.TrimLeft(whole, "0"))
	zeros := 0
	if digits == 0 {
		zeros = len(fraction) - len(strings.TrimLeft(fraction, "0"))
	}
	if len(fraction) <= max(0, 3-digits)+zeros {
		return number
	}
	n, err := parseNumber(number)
	if err != nil {
		return number
	}
	return toDigits(n, max(0, 3-digits)+zeros)
}

// parseNumber reads a number, with commas between thousands or before a fraction.
func parseNumber(number string) (float64, error) {
	if _, fraction, comma := strings.Cut(number, ","); comma && len(fraction) != 3 && !strings.Contains(fraction, ".") && !strings.Contains(fraction, ",") {
		return strconv.ParseFloat(strings.Replace(number, ",", ".", 1), 64)
	}
	return strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
}

// toDigits returns a number with some digits after its point. It adds digits rather than round
// another number to 100, 1 or 0: 99.951 becomes 99.95.
func toDigits(n float64, digits int) string {
	for {
		short := strconv.FormatFloat(n, 'f', digits, 64)
		if strings.Contains(short, ".") {
			short = strings.TrimRight(strings.TrimRight(short, "0"), ".")
		}
		rounds := (short == "100" || short == "0" || short == "1") && short != strconv.FormatFloat(n, 'f', -1, 64)
		if !rounds || digits >= 9 {
			return short
		}
		digits++
	}
}

// withRounded returns a text with its figures rounded.
func withRounded(s string, found []figure) string {
	var b strings.Builder
	from := 0
	for _, f := range found {
		if f.text != s[f.at:f.end] {
			b.WriteString(s[from:f.at])
			b.WriteString(f.text)
			from = f.end
		}
	}
	if from == 0 {
		return s
	}
	b.WriteString(s[from:])
	return b.String()
}

// figureOf returns the first measured figure of an alert's statements.
func figureOf(d *detail) (string, bool) {
	for _, s := range d.preferred() {
		if f, ok := firstMeasured(s); ok {
			text := s.alone(f)
			return text, text != ""
		}
	}
	return "", false
}

// unitOf returns a figure with its unit, or with the unit that follows it as a word. A bare number
// next to a limit in percent also gets a percent sign.
func (s *statement) unitOf(f figure) string {
	if f.end > len(s.text) || !isDigit(f.text[len(f.text)-1]) {
		return f.text
	}
	word, _, _ := strings.Cut(strings.TrimLeft(s.text[f.end:], " "), " ")
	switch word = strings.Trim(word, ".,;:)"); word {
	case "percent":
		return f.text + "%"
	case "seconds":
		return f.text + "s"
	case "minutes":
		return f.text + "m"
	case "hours":
		return f.text + "h"
	case "days":
		return f.text + "d"
	case "":
		return percent(f.text, s)
	}
	return f.text
}

// percent returns a number with the unit of the limit in a sentence. If that is percent, a share of
// 1 is multiplied by 100.
func percent(number string, s *statement) string {
	for _, f := range s.figures {
		if !f.constant {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || n < 0 {
			return number
		}
		following := strings.TrimLeft(s.text[min(f.end, len(s.text)):], " ")
		switch {
		case strings.HasSuffix(f.text, "%"), strings.HasPrefix(following, "percent"):
			if n <= 2 && f.number > 2 {
				n *= 100
			}
			return rounded(strconv.FormatFloat(n, 'f', -1, 64)) + "%"
		case strings.HasSuffix(f.text, "ms"), strings.HasPrefix(following, "ms"), strings.HasPrefix(following, "milliseconds"):
			return number + "ms"
		}
	}
	return number
}

// alone does what unitOf does, for a figure without its sentence. It returns "" for a small number
// without a unit, which means nothing there.
func (s *statement) alone(f figure) string {
	text := s.unitOf(f)
	if !strings.Contains(text, " of ") && isDigit(text[len(text)-1]) && f.number < 10 && f.number == math.Trunc(f.number) {
		return ""
	}
	return text
}
