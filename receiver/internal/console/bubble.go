package console

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/smspager/smspager/templating/gsm7"
)

// bubble is a text as the phone shows it.
type bubble struct {
	Segments []segment
	Unit     string // "septets", or "UTF-16 units" if the text does not fit the GSM alphabet
}

// segment is a segment of a text.
type segment struct {
	Pieces     []piece
	Used, Room int // in units
}

// piece is a part of a segment.
type piece struct {
	Text string
	Cut  bool // shortened in the text
}

// Percent returns how full the segment is.
func (s segment) Percent() string { return percent(float64(s.Used) / float64(max(1, s.Room))) }

// Number returns the segment's number in words, such as "segment 1 of 2".
func (b bubble) Number(i int) string {
	return fmt.Sprintf("segment %d\u00a0of\u00a0%d", i+1, len(b.Segments))
}

// Left returns how many more units the last segment can hold.
func (b bubble) Left() int {
	if len(b.Segments) == 0 {
		return 0
	}
	last := b.Segments[len(b.Segments)-1]
	return last.Room - last.Used
}

// bubbleOf returns a text as the reader may see it. shortened matches the parts that stand for something
// longer.
func bubbleOf(f *Frame, text string, shortened *regexp.Regexp) bubble {
	parts := gsm7.Segments(text)
	b := bubble{Unit: "septets"}
	whole, done, from := f.Shown(text), 0, 0
	for i, part := range parts {
		size := gsm7.Measure(part)
		if size.Encoding != "gsm7" {
			b.Unit = "UTF-16 units"
		}
		from += len(part)
		end := len(whole)
		if i < len(parts)-1 {
			end = max(done, shownUpTo(f, text, whole, from))
		}
		b.Segments = append(b.Segments, segment{pieces(whole[done:end], shortened), size.Units, gsm7.Room(size.Encoding, len(parts))})
		done = end
	}
	return b
}

// shownUpTo returns the length of the shown text that corresponds to the first bytes of a text. A
// shortened number belongs to the segment in which it begins.
func shownUpTo(f *Frame, text, shown string, bytes int) int {
	const longest = 16 // a number
	for at := bytes; at <= min(len(text), bytes+longest); at++ {
		if before := f.Shown(text[:at]); before+f.Shown(text[at:]) == shown {
			return len(before)
		}
	}
	return len(shown)
}

// pieces splits a text before and after each match of a pattern.
func pieces(text string, cut *regexp.Regexp) []piece {
	if cut == nil {
		return []piece{{Text: text}}
	}
	var all []piece
	at := 0
	for _, found := range cut.FindAllStringIndex(text, -1) {
		all = append(all, piece{Text: text[at:found[0]]}, piece{text[found[0]:found[1]], true})
		at = found[1]
	}
	return append(all, piece{Text: text[at:]})
}

// anyOf returns a pattern that matches any of the texts and patterns, or nil if there are none.
func anyOf(texts []string, more ...string) *regexp.Regexp {
	var patterns []string
	for _, text := range texts {
		if text != "" {
			patterns = append(patterns, regexp.QuoteMeta(text))
		}
	}
	patterns = append(patterns, more...)
	if len(patterns) == 0 {
		return nil
	}
	return regexp.MustCompile(strings.Join(patterns, "|"))
}

const (
	// leftOut matches the number of alerts that a text does not list; inMiddle matches a name without its middle.
	leftOut  = `\+\d+ more`
	inMiddle = `[^\s.]+\.\.\.[^\s.]+`
)
