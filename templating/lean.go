package templating

import (
	"strings"

	"github.com/smspager/smspager/templating/gsm7"
)

// lean returns a sentence without what it can spare: the words that introduce a threshold, and
// places that the text names already.
func lean(s string, named func(value string) bool) string {
	return withoutPlaces(withoutThreshold(s), named)
}

// withoutWindow removes "for more than 15 minutes" at the end of a sentence, because the age
// follows.
func withoutWindow(s string) string {
	for _, lead := range [...]string{" for more than ", " for over ", " for at least ", " for longer than "} {
		i := strings.LastIndex(s, lead)
		if i < 0 {
			continue
		}
		rest := strings.Fields(s[i+len(lead):])
		if len(rest) == 0 || len(rest) > 2 || !isDigit(rest[0][0]) {
			continue
		}
		unit := strings.TrimLeft(rest[len(rest)-1], "0123456789")
		for _, known := range timeUnits {
			if strings.HasPrefix(unit, known) || unit == known[:1] {
				return s[:i]
			}
		}
	}
	return s
}

// withoutClause removes the last clause of a sentence, after a comma or a dash. It returns "" if
// only a few words or no measured figure would remain.
func (s *statement) withoutClause(text string) string {
	end := max(strings.LastIndex(text, ", "), strings.LastIndex(text, " - "))
	if end < 16 {
		return ""
	}
	short := strings.TrimRight(text[:end], " ,;:-")
	if f, ok := firstMeasured(s); ok && !names(short, f.text) || strings.Count(short, " ") < 2 {
		return ""
	}
	return short
}

var thresholds = []string{
	", which is above the threshold of ", ", which is below the threshold of ", ", which is above the limit of ", ", which is more than ", ", which is less than ", ", which is above ", ", which is below ",
	", which is over ", ", which is under ", " which is above the threshold of ", " which is below the threshold of ", " which is above ", " which is below ", ", which exceeds the threshold of ", ", which exceeds ",
	" exceeding the threshold of ", ", exceeding the threshold of ", ", above the threshold of ", ", below the threshold of ",
}

// withoutThreshold turns ", which is above the threshold of 85 percent" into "(limit 85 percent)".
func withoutThreshold(s string) string {
	for _, phrase := range thresholds {
		before, limit, found := strings.Cut(s, phrase)
		if !found || limit == "" || limit[0] < '0' || limit[0] > '9' {
			continue
		}
		end := unitEnd(limit, numberEnd(limit, 0))
		rest := strings.TrimSpace(limit[end:])
		if unit, after, _ := strings.Cut(rest, " "); unit == "percent" || unit == "seconds" || unit == "bytes" || unit == "ms" {
			end = len(limit) - len(rest) + len(unit)
			rest = after
		}
		return before + " (limit " + limit[:end] + ") " + strings.TrimLeft(rest, ". ")
	}
	return s
}

// withoutPlaces removes " on X", " in namespace X" and similar phrases if X is named already.
func withoutPlaces(s string, named func(string) bool) string {
	fields := strings.Fields(s)
	kept := fields[:0:0]
	for i := 0; i < len(fields); i++ {
		switch fields[i] {
		case "on", "in", "at", "of", "for", "from":
			n := 1 // number of words of the place
			if i+2 < len(fields) && isPlaceWord(fields[i+1]) {
				n = 2
			}
			if i+n < len(fields) && n > 0 && i > 0 {
				value := strings.Trim(fields[i+n], `.,;:()"'`)
				if value != "" && named(value) {
					trailing := strings.TrimLeft(fields[i+n][strings.Index(fields[i+n], value)+len(value):], `"')`)
					if last := len(kept) - 1; last >= 0 && trailing != "" {
						kept[last] += trailing
					}
					i += n
					continue
				}
			}
		}
		kept = append(kept, fields[i])
	}
	for last := len(kept) - 1; last > 0 && (kept[last] == "-" || kept[last] == "and"); last-- {
		kept = kept[:last]
	}
	return strings.TrimRight(strings.Join(kept, " "), ",;:")
}

func isPlaceWord(s string) bool {
	switch strings.ToLower(s) {
	case "namespace", "cluster", "instance", "host", "node", "pod", "environment", "the", "server", "region", "service", "job", "container":
		return true
	}
	return false
}

// withoutAsides removes brackets that hold no figure.
func withoutAsides(s string) string {
	for from := 0; ; {
		begin := strings.IndexByte(s[from:], '(')
		if begin < 0 {
			return s
		}
		begin += from
		end := strings.IndexByte(s[begin:], ')')
		if end < 0 {
			return s
		}
		end += begin + 1
		if strings.ContainsAny(s[begin:end], "0123456789") {
			from = end
			continue
		}
		s = strings.TrimRight(s[:begin], " ") + s[end:]
		from = min(begin, len(s))
	}
}

// cutTo returns a sentence of no more than most septets, cut at a word. If the cut loses the first
// measured figure, the figure follows in brackets.
func (s *statement) cutTo(text string, most int, to gsm7.Alphabet) string {
	if septets(text, to) <= most {
		return text
	}
	short := cutAtWord(text, most)
	if f, ok := firstMeasured(s); ok && !names(short, f.text) {
		suffix := " (" + s.unitOf(f) + ")"
		if room := most - septets(suffix, to); room > 12 {
			return cutAtWord(text, room) + suffix
		}
	}
	return short
}

// cutAtWord returns the beginning of a text, no more than most septets. It does not end in a word
// that only leads to the next, such as "on".
func cutAtWord(text string, most int) string {
	short := gsm7.TruncateUnits(text, most)
	for {
		head, cut := strings.CutSuffix(short, "...")
		last := strings.LastIndexByte(head, ' ')
		if !cut || last < 0 || !fillers[strings.ToLower(head[last+1:])] {
			return short
		}
		short = strings.TrimRight(head[:last], " ,;:-(") + "..."
	}
}

// septets returns the septets of a text in the tight spelling that choices use.
func septets(s string, to gsm7.Alphabet) int {
	return gsm7.Measure(gsm7.Cheap(gsm7.Transliterate(s, to))).Units
}
