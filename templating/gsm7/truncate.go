package gsm7

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// ellipsis replaces the part that was cut. A dot costs one septet, unlike "…".
const ellipsis = "..."

// Truncate returns a text of at most maxSegments segments: the whole text if it fits, otherwise its
// beginning, cut at a word, followed by "...". A URL is never cut: it is left out as a whole. If
// maxSegments is below 1, the result is empty.
func Truncate(s string, maxSegments int) string {
	return TruncateBefore(s, "", maxSegments)
}

// TruncateBefore does what Truncate does, for a text whose tail must stay. It cuts only s; the
// result ends with the tail, unless the tail alone is too long.
func TruncateBefore(s, tail string, maxSegments int) string {
	if maxSegments < 1 {
		return ""
	}
	most := min(maxSegments, len(s)+len(tail)+1) // each segment holds a character
	return truncate(s, tail, most*singleSeptets, func(size Size) bool { return size.Segments <= maxSegments })
}

// TruncateUnits does what Truncate does, for a number of septets or, if a text needs UCS-2, of
// UTF-16 code units. With fewer than three units, a cut text is empty.
func TruncateUnits(s string, maxUnits int) string {
	return truncate(s, "", max(0, maxUnits), func(size Size) bool { return size.Units <= maxUnits })
}

// Shorten returns a name of at most maxUnits septets or UTF-16 code units. If the name is longer,
// it keeps both ends, which say more than the middle, with "..." between them. It cuts next to a
// separator (one of -_./:) if one is near.
func Shorten(name string, maxUnits int) string {
	fits := func(s string) bool { return Measure(s).Units <= maxUnits }
	if fits(name) {
		return name
	}
	begins := make([]int, 0, len(name)+1) // of the characters
	for i := range name {
		begins = append(begins, i)
	}
	begins = append(begins, len(name))
	// The end gets two fifths of the room.
	room := maxUnits - len(ellipsis)
	last := sort.Search(len(begins)-1, func(i int) bool { return Measure(name[begins[i]:]).Units <= room*2/5 })
	end := name[begins[last]:]
	if at := strings.IndexAny(end, separators); at >= 0 && at < len(end)-3 {
		end = end[at:]
	}
	first := sort.Search(last, func(i int) bool { return !fits(name[:begins[i+1]] + ellipsis + end) })
	begin := name[:begins[first]]
	if at := strings.LastIndexAny(begin, separators); at > 0 && at >= len(begin)-4 {
		begin = begin[:at]
	}
	if short := begin + ellipsis + end; fits(short) {
		return short
	}
	return TruncateUnits(name, maxUnits)
}

const separators = "-_./:"

// truncate cuts a text of which at most maxCharacters characters can fit.
func truncate(s, tail string, maxCharacters int, fitting func(Size) bool) string {
	fits := func(text string) bool { return fitting(Measure(text)) }
	longest := maxCharacters * utf8.UTFMax
	if len(s) <= longest && fits(s+tail) {
		return s + tail
	}
	if !fits(ellipsis + tail) {
		if tail == "" {
			return ""
		}
		return truncate(s, "", maxCharacters, fitting)
	}
	if len(s) > longest {
		s = s[:characterAt(s, longest)]
	}
	tooLong := sort.Search(len(s), func(i int) bool {
		return !fits(s[:characterAt(s, i)] + ellipsis + tail)
	})
	end := characterAt(s, tooLong-1)
	for {
		head := atWord(s, end)
		word := lastWord(head)
		if !isURL(head[word:]) {
			return strings.TrimRight(head, " \n,;:.-(") + ellipsis + tail
		}
		// Dots next to a URL would look like a part of it.
		if apart := head + " " + ellipsis + tail; fits(apart) {
			return apart
		}
		end = word
	}
}

// characterAt returns where the character begins that contains byte i of a text. A byte that is not
// UTF-8 counts as a character.
func characterAt(s string, i int) int {
	for back := range min(utf8.UTFMax, i+1) {
		if _, size := utf8.DecodeRuneInString(s[i-back:]); size > max(back, 1) {
			return i - back
		}
	}
	return i
}

// atWord returns the beginning of s, up to the end of a word at or before a byte. In a word that is
// far too long for a word, it returns the beginning up to that byte.
func atWord(s string, at int) string {
	const longWord = 40 // bytes
	head := s[:at]
	if at < len(s) && !isSpace(s[at]) {
		begin := lastWord(head)
		if at-begin <= longWord || isURL(s[begin:]) {
			head = s[:begin]
		}
	}
	return strings.TrimRight(head, " \n")
}

// lastWord returns where the last word of a text begins.
func lastWord(s string) int { return strings.LastIndexAny(s, " \n") + 1 }

func isSpace(b byte) bool { return b == ' ' || b == '\n' }

// isURL reports whether the first word of a text is a URL, or contains one, as in brackets or
// quotes.
func isURL(s string) bool {
	word := s
	if end := strings.IndexAny(s, " \n"); end >= 0 {
		word = s[:end]
	}
	return strings.Contains(word, "://") || strings.HasPrefix(word, "www.")
}
