// Package command reads what a reply asks for. It is pure: it knows no store, clock, or network.
//
// A reply is read in three passes. The first removes what gateways and phones add to a text: encodings,
// quotations, signatures. The second splits the text into words and classifies each: a verb, the code of
// a page, a length of time, a refusal, and so on. The third looks up the sentence in a table of shapes;
// a reply that fits no shape is [Unknown]. Nothing is guessed: a refusal, a question, or a text written
// by a machine acknowledges nothing.
package command

import (
	"slices"
	"strings"
	"time"
)

// Verb is what a reply asks for.
type Verb string

// The verbs.
const (
	Acknowledge Verb = "acknowledge"
	Silence     Verb = "silence"
	Undo        Verb = "undo"
	Next        Verb = "next" // page the next person
	More        Verb = "more" // send what the text has left out
	Note        Verb = "note" // add a note for others; only an Act can
	Status      Verb = "status"
	Who         Verb = "who"
	Help        Verb = "help"
	Stop        Verb = "stop"
	Start       Verb = "start"
	Verify      Verb = "verify"
	Decline     Verb = "decline"  // a refusal, which does nothing
	Question    Verb = "question" // a question, which does nothing
	Machine     Verb = "machine"  // a text written by a machine, which does nothing
	Unknown     Verb = "unknown"
)

// Unclear reports whether a verb asks for nothing that can be done.
func (v Verb) Unclear() bool {
	return v == Unknown || v == Decline || v == Question || v == Machine
}

// Command is what a reply asks for.
type Command struct {
	Verb   Verb
	Codes  []string      // codes of pages, each once; for Verify, the code of the verification
	All    bool          // the command is for all pages
	Length time.Duration // of a silence; 0: not given
	Until  string        // when a silence ends, "0700"; "": not given
	// Chat is true if there are other words, so a number may be one of them and not a code.
	Chat bool
	// Bare is true if a code acknowledges without a verb.
	Bare bool
}

// How many digits the code of a page and the code of a verification have.
const (
	ShortestCode = 4
	LongestCode  = 5
	VerifyCode   = 6
)

// Parse returns the command in a reply, which may be typed with thumbs at night, or dictated. Case,
// accents and punctuation do not matter, and the reply may begin with "Re", as the end of a page's text
// does. Only an acknowledgement may be followed by other words, and a code may be among them.
func Parse(text string) Command {
	text = body(decode(text))
	outside, quotes := unquote(text)
	if quotes {
		if c := parse(outside); parse(strings.Map(noEmoji, outside)).Verb != Unknown {
			return c
		}
		return Command{Verb: Machine} // a reaction
	}
	c := parse(outside)
	first, rest, several := strings.Cut(outside, "\n")
	if c.Verb == Unknown && several && !slices.ContainsFunc(lex(rest), func(w word) bool { return w.kind != other && w.kind != filler }) {
		return parse(first) // a signature follows
	}
	return c
}

func parse(text string) Command {
	words := lex(text)
	has := func(k kind) bool { return slices.ContainsFunc(words, func(w word) bool { return w.kind == k }) }
	s, ok := collect(words, true)
	c, found := s.command(ok)
	if !found && s.acknowledged {
		s, ok = collect(words, false)
		c, found = s.command(ok)
	}
	switch {
	case has(machine):
		return Command{Verb: Machine}
	case has(refusal) && (!found || c.Verb != Next && c.Verb != Undo):
		return Command{Verb: Decline, Codes: s.codes}
	case has(question):
		if found && !s.chat && (c.Verb == Status || c.Verb == Who || c.Verb == Help) {
			return c
		}
		return Command{Verb: Question, Codes: s.codes}
	}
	return c
}

// sentence holds what the words of a reply say together.
type sentence struct {
	verb   Verb          // Unknown: none
	codes  []string      // codes of pages
	length time.Duration // 0: none
	until  string        // "": none
	all    bool
	proof  string // the code of a verification; "": none
	chat   bool   // there are other words
	early  bool   // other words come before the verb or the code

	acknowledged bool // a verb of the reply acknowledges
}

// collect combines the words of a reply. It returns false if they fit no shape. overrides lets the
// second verb count in "ok undo".
func collect(words []word, overrides bool) (s sentence, ok bool) {
	s.verb = Unknown
	weak := true // all words of the verb are weak
	for _, w := range words {
		if w.kind == verb && w.verb == Acknowledge {
			s.acknowledged = true
		}
		switch {
		case w.kind == filler || w.kind == question || w.kind == refusal || w.kind == machine:
		case w.kind == verb && (s.verb == Unknown || s.verb == w.verb):
			s.verb = w.verb
			weak = weak && w.weak
		case w.kind == verb && s.verb == Acknowledge && overrides && (w.verb == Undo || w.verb == Next || w.verb == Silence):
			s.verb = w.verb
		case w.kind == proof && s.proof == "":
			s.proof = w.text
		case w.kind == length && s.length == 0 && (!w.weak || !s.chat):
			s.length = w.length
		case w.kind == until && s.until == "":
			s.until = strings.TrimPrefix(w.text, "@")
		case w.kind == code:
			if !slices.Contains(s.codes, w.text) {
				s.codes = append(s.codes, w.text)
			}
		case w.kind == everything && (s.verb != Unknown || len(words) > 1 && words[1].kind != verb):
			s.all = true
		case s.verb == Acknowledge || s.verb == Unknown && len(s.codes) > 0: // "ok on my way", "6279 rebooting"
			s.chat = true
		case s.verb == Unknown && (w.kind == other || w.kind == verb): // words may precede a code
			s.chat, s.early = true, true
		default:
			return s, false
		}
	}
	if s.chat { // six digits among other words may be any number
		s.proof = ""
	}
	return s, !s.chat || !weak && !s.early || len(s.codes) > 0
}

// command looks up a sentence in shapes. It returns Unknown and false if the sentence fits none.
func (s *sentence) command(ok bool) (Command, bool) {
	for _, shape := range shapes {
		if !ok || !shape.fits(s) {
			continue
		}
		c := Command{Verb: shape.means, Codes: s.codes, All: s.all, Length: s.length, Until: s.until, Chat: s.chat}
		c.Bare = s.verb == Unknown && c.Verb == Acknowledge
		if c.Verb == Verify {
			c.Codes = []string{s.proof}
		}
		return c, true
	}
	return Command{Verb: Unknown}, false
}

// need is whether a sentence of a shape must have a part, or may.
type need int

const (
	no need = iota
	may
	yes
)

func (n need) allows(has bool) bool { return n == may || (n == yes) == has }

// shape describes sentences that have a meaning. If verb is Unknown, they have no verb.
type shape struct {
	verb  Verb
	codes need
	long  need // a length, or an end
	all   need
	proof need
	chat  need
	means Verb
}

// shapes describes all sentences that have a meaning. No sentence fits two shapes.
var shapes = []shape{
	// verb      codes long all proof chat
	{Acknowledge, may, may, no, no, may, Acknowledge}, // "ok", "ok 4821 7426", "ok on my way", "ok 2h"
	{Acknowledge, no, may, yes, no, no, Acknowledge},  // "ok all"
	{Unknown, yes, no, no, no, no, Acknowledge},       // "4821"
	{Unknown, yes, may, no, no, yes, Acknowledge},     // "4821 rebooting it"
	{Silence, may, yes, no, no, no, Silence},          // "s 2h", "silence 4821 1h30"
	{Silence, no, yes, yes, no, no, Silence},          // "silence all 2h"
	{Unknown, may, yes, no, no, no, Silence},          // "4821 2h", "2h", "until 7am"
	{Unknown, no, yes, yes, no, no, Silence},          // "all 2h"
	{Undo, may, no, no, no, no, Undo},                 // "undo", "undo 4821"
	{More, may, no, no, no, no, More},                 // "more", "more 4821"
	{Next, may, no, no, no, no, Next},                 // "next", "next 4821"
	{Unknown, no, no, no, yes, no, Verify},            // "583201"
	{Acknowledge, no, no, no, yes, no, Verify},        // "ok 583201"
	{Status, no, no, no, no, no, Status},              // "?"
	{Who, no, no, no, no, no, Who},
	{Help, no, no, no, no, no, Help},
	{Stop, no, no, no, no, no, Stop},
	{Start, no, no, no, no, no, Start},
}

func (sh *shape) fits(s *sentence) bool {
	return sh.verb == s.verb && sh.codes.allows(len(s.codes) > 0) && sh.long.allows(s.length > 0 || s.until != "") &&
		sh.all.allows(s.all) && sh.proof.allows(s.proof != "") && sh.chat.allows(s.chat)
}
