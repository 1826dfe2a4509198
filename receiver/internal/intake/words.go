package intake

import (
	"fmt"
	"strings"

	"github.com/smspager/smspager/templating"
)

// sentences joins two sentences; the second may be empty.
func sentences(first, second string) string {
	if second == "" {
		return first
	}
	return first + ". " + second
}

// describe returns what templating did to a text, for the message's history.
func describe(r templating.Rendering) string {
	var parts []string
	if r.Err != nil {
		parts = append(parts, "the template failed: "+r.Err.Error())
	}
	if r.Hidden > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d alerts shown", r.Shown, r.Shown+r.Hidden))
	}
	if n := len(r.Shortened); n > 0 {
		parts = append(parts, fmt.Sprintf("%d values shortened", n))
	}
	if r.Cut {
		parts = append(parts, "cut to fit")
	}
	return strings.Join(parts, "; ")
}
