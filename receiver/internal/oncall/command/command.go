// Package command reads what a reply asks for. It is pure: it knows no store, clock, or network.
//
// A reply is read in two passes. The first one splits it into words and classifies each: a verb, the
// code of a page, a length of time, and so on. The second one looks the whole up in a table of
// shapes; a reply without a shape is [Unknown]. Nothing is guessed.
package command

import (
	"slices"
	"time"
)

// Verb is what a reply asks for.
type Verb string

// The verbs.
const (
	Acknowledge Verb = "acknowledge"
	Silence     Verb = "silence"
	Undo        Verb = "undo"
	Status      Verb = "status"
	Who         Verb = "who"
	Help        Verb = "help"
	Stop        Verb = "stop"
	Start       Verb = "start"
	Verify      Verb = "verify"
	Unknown     Verb = "unknown"
)

// Command is a reply that was understood.
type Command struct {
	Verb   Verb
	Codes  []string      // of pages, each once; for Verify, the code of the verification
	All    bool          // every page is meant
	Length time.Duration // of a silence; 0: none was given
}

// The digits of the codes of pages, and of the codes of verifications.
const (
	ShortestCode = 4
	LongestCode  = 5
	VerifyCode   = 6
)

// Parse reads a reply that was typed with thumbs at night: case, accents and punctuation do not
// matter, and it may begin with "Re" as the end of a page does. Only an acknowledgement may be
// followed by other words.
func Parse(text string) Command {
	s, ok := collect(lex(text))
	if !ok {
		return Command{Verb: Unknown}
	}
	for _, shape := range shapes {
		if !shape.fits(&s) {
			continue
		}
		c := Command{Verb: shape.means, Codes: s.codes, All: s.all, Length: s.length}
		if c.Verb == Verify {
			c.Codes = []string{s.proof}
		}
		return c
	}
	return Command{Verb: Unknown}
}

// sentence is what the words of a reply amount to.
type sentence struct {
	verb   Verb          // Unknown: none
	codes  []string      // of pages
	length time.Duration // 0: none
	all    bool
	proof  string // the code of a verification, "": none
	chat   bool   // other words follow an acknowledgement
}

// collect counts the words of a reply up. It is false if there are words that no shape has.
func collect(words []word) (s sentence, ok bool) {
	s.verb = Unknown
	weak := true // all words of the verb are
	for _, w := range words {
		switch {
		case w.kind == filler:
		case w.kind == verb && (s.verb == Unknown || s.verb == w.verb):
			s.verb = w.verb
			weak = weak && w.weak
		case w.kind == proof && s.proof == "":
			s.proof = w.text
		case w.kind == length && s.length == 0:
			s.length = w.length
		case w.kind == code:
			if !slices.Contains(s.codes, w.text) {
				s.codes = append(s.codes, w.text)
			}
		case w.kind == all:
			s.all = true
		case s.verb == Acknowledge: // "ok on my way"
			s.chat = true
		default:
			return s, false
		}
	}
	if s.chat { // six digits among other words may be anything
		s.proof = ""
	}
	return s, !s.chat || !weak
}

// need says whether a shape has something.
type need int

const (
	no need = iota
	may
	yes
)

func (n need) allows(has bool) bool { return n == may || (n == yes) == has }

// shape is a sentence that means something. Where a verb is Unknown, none was written.
type shape struct {
	verb  Verb
	codes need
	long  need
	all   need
	proof need
	chat  need
	means Verb
}

// shapes are all sentences that mean something. No sentence has two shapes.
var shapes = []shape{
	// verb      codes length all proof chat
	{Acknowledge, may, may, no, no, may, Acknowledge}, // "ok", "ok 4821 7426", "ok on my way", "ok 2h"
	{Acknowledge, no, may, yes, no, may, Acknowledge}, // "ok all"
	{Unknown, yes, no, no, no, no, Acknowledge},       // "4821"
	{Silence, may, yes, no, no, no, Silence},          // "s 2h", "silence 4821 1h30"
	{Unknown, yes, yes, no, no, no, Silence},          // "4821 2h"
	{Undo, may, no, no, no, no, Undo},                 // "undo", "undo 4821"
	{Unknown, no, no, no, yes, no, Verify},            // "583201"
	{Acknowledge, no, no, no, yes, no, Verify},        // "ok 583201"
	{Status, no, no, no, no, no, Status},              // "?"
	{Who, no, no, no, no, no, Who},
	{Help, no, no, no, no, no, Help},
	{Stop, no, no, no, no, no, Stop},
	{Start, no, no, no, no, no, Start},
}

func (sh *shape) fits(s *sentence) bool {
	return sh.verb == s.verb && sh.codes.allows(len(s.codes) > 0) && sh.long.allows(s.length > 0) &&
		sh.all.allows(s.all) && sh.proof.allows(s.proof != "") && sh.chat.allows(s.chat)
}
