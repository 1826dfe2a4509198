package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/smspager/smspager/templating/gsm7"
)

// phoneWidth is how many characters a phone shows in a line.
const phoneWidth = 40

// drawSMS shows a text as the phone does, each segment in its own box with its size below.
func drawSMS(w io.Writer, text string) {
	parts := gsm7.Segments(text)
	for i, part := range parts {
		fmt.Fprintf(w, "  +%s+\n", strings.Repeat("-", phoneWidth+2))
		for _, line := range wrap(part, phoneWidth) {
			fmt.Fprintf(w, "  | %-*s |\n", phoneWidth, line)
		}
		fmt.Fprintf(w, "  +%s+\n", strings.Repeat("-", phoneWidth+2))
		fmt.Fprintf(w, "  segment %d of %d: %s\n", i+1, len(parts), used(part, len(parts)))
	}
}

// used returns how full a segment is.
func used(part string, parts int) string {
	size, unit := gsm7.Measure(part), "septets"
	if size.Encoding == gsm7.UCS2 {
		unit = "UCS-2 units"
	}
	return fmt.Sprintf("%d of %d %s", size.Units, gsm7.Room(size.Encoding, parts), unit)
}

// wrap breaks a text into lines, at spaces if there are any.
func wrap(s string, width int) []string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		runes := []rune(line)
		for len(runes) > width {
			at := width
			for i := width; i > 0; i-- {
				if runes[i] == ' ' {
					at = i
					break
				}
			}
			lines = append(lines, string(runes[:at]))
			runes = []rune(strings.TrimPrefix(string(runes[at:]), " "))
		}
		lines = append(lines, string(runes))
	}
	return lines
}
