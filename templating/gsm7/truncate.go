package gsm7

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// ellipsis marks a text that was cut.
const ellipsis = "..."

// Truncate returns a text of at most maxSegments segments: s itself where it
// fits, else its beginning, cut at a word, with "..." in the place of the rest.
// A URL is never cut in two: it is left out whole. Below one segment nothing fits.
func Truncate(s string, maxSegments int) string {
	return TruncateBefore(s, "", maxSegments)
}

// TruncateBefore is Truncate for a text whose tail always stays: what it returns
// ends with the tail, unless the tail alone is too long, and only s is cut.
func TruncateBefore(s, tail string, maxSegments int) string {
	if maxSegments < 1 {
		return ""
	}
	fits := func(text string) bool { return Measure(text).Segments <= maxSegments }
	// Every segment holds a character, so that more segments than bytes allow nothing more.
	longest := min(maxSegments, len(s)+len(tail)+1) * singleSeptets * utf8.UTFMax
	if len(s) <= longest && fits(s+tail) {
		return s + tail
	}
	if !fits(ellipsis + tail) {
		return TruncateBefore(s, "", maxSegments)
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
		// Dots next to a URL would read as a part of it.
		if apart := head + " " + ellipsis + tail; fits(apart) {
			return apart
		}
		end = word
	}
}

// characterAt is where the character begins that the i-th byte of a text is
// part of. A byte that is not UTF-8 is a character.
func characterAt(s string, i int) int {
	for back := range min(utf8.UTFMax, i+1) {
		if _, size := utf8.DecodeRuneInString(s[i-back:]); size > max(back, 1) {
			return i - back
		}
	}
	return i
}

// atWord is the beginning of s up to a word's end at or before a byte. In a word
// that is far longer than words are, it is the beginning up to that byte.
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

// lastWord is where the last word of a text begins.
func lastWord(s string) int { return strings.LastIndexAny(s, " \n") + 1 }

func isSpace(b byte) bool { return b == ' ' || b == '\n' }

// isURL reports whether the first word of a text is a URL, or holds one, as in
// brackets or quotes.
func isURL(s string) bool {
	word := s
	if end := strings.IndexAny(s, " \n"); end >= 0 {
		word = s[:end]
	}
	return strings.Contains(word, "://") || strings.HasPrefix(word, "www.")
}
