// Package e164 holds phone numbers as ITU-T E.164 writes them: a plus sign, a
// country code, and at most 15 digits in all, with no spaces ("+33612345678").
// The provider's test number 999 is the one exception and is written as it is.
//
// Stability: until v1, an exported name may change in a minor release; CHANGELOG.md lists
// each change.
package e164

import (
	"errors"
	"log/slog"
	"regexp"
	"strings"
)

// Test is TextingHouse's free test number (seed, 4.8): texts to it reach no
// operator, yet go through the whole chain and come back as delivered.
const Test Number = "999"

// minDigits is a lower bound for a number with its country code. E.164 sets
// only the upper one, maxDigits; the shortest numbers in use have 7 digits.
const (
	minDigits = 7
	maxDigits = 15
)

// Number is a phone number that Parse accepted.
type Number string

var errForm = errors.New(`must be an E.164 number such as "+33612345678" (a plus sign, the country code, 7 to 15 digits in all), or 999`)

// Parse reads a number. Spaces, dots, hyphens and parentheses between the
// digits are dropped and a leading 00 stands for the plus sign; a number
// without a country code is an error, as nobody can tell whose it is.
func Parse(s string) (Number, error) {
	s = strings.TrimSpace(s)
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
		case strings.ContainsRune(" .-()", r):
		default:
			return "", errForm
		}
	}
	d := digits.String()
	if !international || len(d) < minDigits || len(d) > maxDigits || d[0] == '0' {
		return "", errForm
	}
	return Number("+" + d), nil
}

// Short is the number as logs show it, its middle hidden: "+3361*****78".
func (n Number) Short() string {
	if len(n) < 8 {
		return string(n)
	}
	return string(n[:5]) + "*****" + string(n[len(n)-2:])
}

// inText is what a number looks like within a text.
var inText = regexp.MustCompile(`\+[1-9][0-9]{6,14}`)

// Redact shortens every number in a text that is to be logged, such as a group
// key, which holds the values of labels.
func Redact(text string) string {
	return inText.ReplaceAllStringFunc(text, func(n string) string { return Number(n).Short() })
}

// LogValue keeps whole numbers out of logs.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Short()) }
