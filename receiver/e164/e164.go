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

// Parse reads a number. It drops spaces, dots, hyphens and parentheses between the digits, and
// reads a leading 00 as the plus sign. A number without a country code is an error, because its
// country is unknown.
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

// Short returns the number for logs, with its middle hidden: "+3361*****78".
func (n Number) Short() string {
	if len(n) < 8 {
		return string(n)
	}
	return string(n[:5]) + "*****" + string(n[len(n)-2:])
}

// inText matches a number within a text.
var inText = regexp.MustCompile(`\+[1-9][0-9]{6,14}`)

// Redact shortens every number in a text for a log, such as a group key, which holds the values
// of labels.
func Redact(text string) string {
	return inText.ReplaceAllStringFunc(text, func(n string) string { return Number(n).Short() })
}

// LogValue keeps whole numbers out of logs.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Short()) }
