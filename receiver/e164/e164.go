// Package e164 reads phone numbers in the form of ITU-T E.164: a plus sign, a country code, and at
// most 15 digits in all, without spaces ("+33612345678"). The provider's test number 999 is the
// only exception.
//
// Stability: until v1, an exported name may change in a minor release; CHANGELOG.md lists
// each change.
package e164

import (
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

// Test is TextingHouse's free test number (seed, 4.8). Texts to it reach no operator, but go
// through the whole chain and end as delivered.
const Test Number = "999"

// E.164 limits a number with its country code to maxDigits. minDigits is the length of the
// shortest numbers in use.
const (
	minDigits = 7
	maxDigits = 15
)

// Number is a phone number that [Parse] has accepted.
type Number string

var errForm = errors.New(`must be an E.164 number such as "+33612345678" (a plus sign, the country code, 7 to 15 digits in all), or 999`)

// Parse reads a number. It drops spaces, dots, hyphens, parentheses and invisible characters between
// the digits, and a trunk zero after the country code ("+33 (0)6 12 34 56 78"), and reads a leading 00
// as the plus sign. A number without a country code is an error, because its country is unknown.
func Parse(s string) (Number, error) {
	s = strings.TrimSpace(strings.TrimPrefix(strings.Map(visible, s), "tel:"))
	if s == string(Test) {
		return Test, nil
	}
	var digits strings.Builder
	rest, international := strings.CutPrefix(s, "+")
	if !international {
		rest, international = strings.CutPrefix(s, "00")
	}
	for _, r := range rest {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case strings.ContainsRune(" .-()/", r):
		default:
			return "", errForm
		}
	}
	d := withoutTrunk(digits.String(), trunk.FindStringSubmatch(rest))
	if !international || len(d) < minDigits || len(d) > maxDigits || d[0] == '0' {
		return "", errForm
	}
	return Number("+" + d), nil
}

// visible drops invisible characters and writes spaces and hyphens of all kinds plainly: phones and web
// pages copy them along.
func visible(r rune) rune {
	switch {
	case unicode.Is(unicode.Cf, r):
		return -1
	case unicode.IsSpace(r):
		return ' '
	case r >= '\u2010' && r <= '\u2015' || r == '\u2212':
		return '-'
	}
	return r
}

// trunk matches the zero that is dialled within the country only, as it is written beside the code.
var trunk = regexp.MustCompile(`^\s*(\d{1,3})\s*\(0\)`)

// zeroless are country codes after which no number begins with 0, and keepers those of countries whose
// numbers keep it (ITU-T E.164, national numbering plans).
const (
	zeroless = " 27 31 32 33 34 41 43 44 45 46 47 48 49 61 64 81 82 351 353 "
	keepers  = " 39 225 241 242 378 379 "
)

// withoutTrunk leaves out the trunk zero after the country code. marked is that code if the zero is in
// parentheses.
func withoutTrunk(digits string, marked []string) string {
	if marked != nil {
		code := marked[1]
		if strings.Contains(keepers, " "+code+" ") {
			return digits
		}
		return code + strings.TrimLeft(digits[len(code):], "0")
	}
	for n := 2; n <= 3 && n < len(digits); n++ {
		if digits[n] == '0' && strings.Contains(zeroless, " "+digits[:n]+" ") {
			return digits[:n] + strings.TrimLeft(digits[n:], "0")
		}
	}
	return digits
}

// Short returns the number for logs, with its middle hidden: "+3361*****78".
func (n Number) Short() string {
	if len(n) < 8 {
		return string(n)
	}
	return string(n[:5]) + "*****" + string(n[len(n)-2:])
}

// InText matches a number within a text.
var InText = regexp.MustCompile(`\+[1-9][0-9]{6,14}`)

// Redact shortens the numbers in a text that have the form of E.164. Such a text is a group key, for
// example, which holds the values of labels.
func Redact(text string) string {
	return InText.ReplaceAllStringFunc(text, func(n string) string { return Number(n).Short() })
}

// LogValue keeps whole numbers out of logs.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Short()) }
