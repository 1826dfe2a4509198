package e164

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:generate go test -run=^TestPlans$ -update

// plans has a line for each country code: the code, how many digits a mobile number has after it, and
// regular expressions of mobile numbers and landlines without the code. It is made from libphonenumber's
// data; TestPlans compares them.
//
//go:embed plans.tsv
var plans string

// machines are ranges for machines (M2M), which people do not have, in the Netherlands, Belgium, France,
// Spain, Finland, Denmark, Sweden and Norway (their numbering plans; libphonenumber does not mark them). Of
// the Danish one, numbers of other lengths are people's.
var machines = regexp.MustCompile(`^\+(?:3197|3277|33700|34590|35849|4537\d{10}$|46719|475[89])`)

// Oddity returns why a text to the number may not arrive: no country has its code, it has too few or
// too many digits for a mobile phone of its country, it is a landline, or a machine's. It returns "" if
// nothing is odd, and of ranges that are not known. Numbering plans change, so that it is no error.
func (n Number) Oddity() string {
	p, odd := n.plan()
	if p == nil || odd != "" && p.landlines == "" {
		return odd
	}
	rest := string(n[1+len(p.code):])
	if machines.MatchString(string(n)) {
		return "it is in a range for machines (M2M)"
	}
	matches := func(pattern string) bool {
		return pattern != "" && regexp.MustCompile("^(?:"+pattern+")$").MatchString(rest)
	}
	switch {
	case matches(p.mobiles):
		return ""
	case matches(p.landlines):
		return "it is a landline"
	}
	return odd
}

// Misdialled returns what Oddity can say without a look at ranges, which is quick: no country has the
// code, or the number of digits is that of no mobile phone.
func (n Number) Misdialled() string {
	_, odd := n.plan()
	return odd
}

// plan is a line of plans.
type plan struct{ code, mobiles, landlines string }

// plan returns the plan of a number's country, nil if there is none, and what is odd about its length.
func (n Number) plan() (*plan, string) {
	digits, international := strings.CutPrefix(string(n), "+")
	if !international {
		return nil, ""
	}
	for size := 1; size <= 3 && size < len(digits); size++ {
		_, line, found := strings.Cut(plans, "\n"+digits[:size]+"\t")
		if !found {
			continue
		}
		line, _, _ = strings.Cut(line, "\n")
		cells := strings.Split(line, "\t")
		p := &plan{digits[:size], cells[1], cells[2]}
		lengths := strings.Split(cells[0], ",")
		if left := len(digits) - size; cells[0] != "" && !slices.Contains(lengths, strconv.Itoa(left)) {
			return p, fmt.Sprintf("it has %d digits after +%s; mobile numbers there have %s", left, p.code, strings.Join(lengths, " or "))
		}
		return p, ""
	}
	return nil, fmt.Sprintf("no country has the code +%s", digits[:min(3, len(digits))])
}
