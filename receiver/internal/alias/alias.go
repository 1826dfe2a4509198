// Package alias compares the names by which calendars refer to contacts.
package alias

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// hyphen matches a hyphen between the parts of a name: Jean-Bob is not Bob.
var hyphen = regexp.MustCompile(`(\pL)[-\x{2010}\x{2011}](\pL)`)

// Plain returns a name in lower case, without accents, and with single spaces in place of other signs. A
// calendar cannot tell two names apart if their plain forms are equal. A name without letters and digits
// has none: Plain returns "".
func Plain(name string) string {
	name = hyphen.ReplaceAllString(name, "$1+$2")
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '@', r == '.', r == '+':
			return unicode.ToLower(r)
		}
		return ' '
	}, norm.NFD.String(name))
	return strings.Join(strings.Fields(name), " ")
}
