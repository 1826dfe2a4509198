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
	if maxSegments < 1 {
		return ""
	}
	if longest := maxSegments * singleSeptets * utf8.UTFMax; len(s) <= longest && Measure(s).Segments <= maxSegments {
		return s
	} else if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "")
	}
	ends := make([]int, 0, len(s)+1) // where s may be cut: between characters
	for i := range s {
		ends = append(ends, i)
	}
	tooLong := sort.Search(len(ends), func(i int) bool {
		return Measure(s[:ends[i]]+ellipsis).Segments > maxSegments
	})
	if tooLong == 0 {
		return ""
	}
	return atWord(s, ends[tooLong-1]) + ellipsis
}

// atWord is the beginning of s up to a word's end at or before a byte. In a word
// that is far longer than words are, it is the beginning up to that byte.
func atWord(s string, at int) string {
	const longWord = 40 // bytes
	head := s[:at]
	if at < len(s) && !isSpace(s[at]) {
		begin := strings.LastIndexAny(head, " \n") + 1
		if at-begin <= longWord || isURL(s[begin:]) {
			head = s[:begin]
		}
	}
	return strings.TrimRight(head, " \n,;:.-(")
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' }

// isURL reports whether a text begins with a URL, a bracket or quote before it
// not counted.
func isURL(s string) bool {
	word := s
	if end := strings.IndexAny(s, " \n"); end >= 0 {
		word = s[:end]
	}
	return strings.Contains(word, "://")
}
