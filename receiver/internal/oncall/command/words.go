package command

import (
	_ "embed"
	"strings"
	"time"
)

// table holds the phrases of all languages, by meaning and language.
//
//go:embed words.tsv
var table string

// agreement is the word that replaces an emoji of agreement.
const agreement = "emojiok"

// lexicon holds the table by phrase.
type lexicon struct {
	phrases map[string]word
	units   map[string]time.Duration // units of a length
	askers  map[string]bool          // words that begin a question
	numbers map[string]int           // numbers written as words
}

// vocabulary is the lexicon of table.
var vocabulary = newLexicon(table)

// longestPhrase is the number of words in the longest phrase.
const longestPhrase = 5

// meanings holds the words for the meanings in the table.
var meanings = map[string]word{
	"acknowledge": {kind: verb, verb: Acknowledge},
	"agree":       {kind: verb, verb: Acknowledge, weak: true},
	"silence":     {kind: verb, verb: Silence},
	"undo":        {kind: verb, verb: Undo},
	"status":      {kind: verb, verb: Status},
	"who":         {kind: verb, verb: Who},
	"help":        {kind: verb, verb: Help},
	"next":        {kind: verb, verb: Next},
	"more":        {kind: verb, verb: More},
	"stop":        {kind: verb, verb: Stop},
	"start":       {kind: verb, verb: Start},
	"all":         {kind: everything},
	"hour":        {kind: length, length: time.Hour},
	"half":        {kind: length, length: time.Hour / 2},
	"filler":      {kind: filler},
	"refusal":     {kind: refusal},
	"machine":     {kind: machine},
}

// lengths holds the units in the table.
var lengths = map[string]time.Duration{"minutes": time.Minute, "hours": time.Hour, "days": 24 * time.Hour}

// newLexicon reads a table of lines with a meaning, a language and phrases. It checks nothing: the tests
// run with the same table.
func newLexicon(table string) *lexicon {
	l := &lexicon{make(map[string]word), make(map[string]time.Duration), make(map[string]bool), make(map[string]int)}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "\t")
		if len(cells) != 3 { // a comment, or empty
			continue
		}
		for i, phrase := range strings.Split(cells[2], ", ") {
			switch meaning, ok := meanings[cells[0]]; {
			case ok:
				if _, taken := l.phrases[phrase]; !taken { // the first meaning counts
					l.phrases[phrase] = meaning
				}
			case lengths[cells[0]] > 0:
				l.units[phrase] = lengths[cells[0]]
			case cells[0] == "question":
				l.askers[phrase] = true
			case cells[0] == "numbers20":
				l.numbers[phrase] = 20 + 10*i
			case cells[0] == "numbers":
				l.numbers[phrase] = i
			}
		}
	}
	return l
}
