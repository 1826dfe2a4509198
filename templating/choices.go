package templating

import (
	"sort"
	"strconv"

	"github.com/smspager/smspager/templating/gsm7"
)

// room returns the septets that a number of segments holds.
func room(segments int) int {
	if segments == 1 {
		return singleSegment
	}
	return segments * joinedSegment
}

// choices returns the choices that are expected to fit, best first. It adds up the septets of the
// pieces; the septets of the rest of the text are known from a first attempt, which wrote
// everything.
func (c *composition) choices(all *attempt, used piece, maxSegments int) []choice {
	// rest is the septets of what the template itself writes.
	rest := gsm7.Measure(gsm7.Cheap(all.body)+all.tail).Units - len(c.age(false)) + len(c.age(true))
	if c.single {
		return c.choicesOfOne(rest-c.septetsOfWay(0, used), used, maxSegments)
	}
	rest -= c.septetsOfLines(everything, used)
	if c.name != "" {
		return c.choicesOfGroup(rest, used, maxSegments)
	}
	return c.choicesOfNames(rest, used, maxSegments)
}

// separators are the septets between two pieces, ": ".
const separators = 2

func (c *composition) septetsOfWay(i int, used piece) int {
	way := &c.ways[i]
	total := 0
	if used&subjectPiece != 0 {
		total += septets(way.subject, c.set.to)
	}
	if used&objectPiece != 0 && way.object != "" {
		total += septets(way.object, c.set.to) + separators
	}
	if used&sentencePiece != 0 && way.sentence != "" {
		total += septets(way.sentence, c.set.to) + separators
	}
	return total
}

// choicesOfOne returns the choices for a single alert, fewest segments first: its sentence in full,
// then leaner, then another sentence. If none fits into a number of segments, the sentence is cut,
// provided that more than a few words remain.
func (c *composition) choicesOfOne(rest int, used piece, maxSegments int) []choice {
	var all []choice
	total := func(i int) int { return rest + c.septetsOfWay(i, used) }
	ways := len(c.ways)
	for segments := 1; segments <= maxSegments; segments++ {
		for i := range ways {
			if total(i) <= room(segments) {
				all = append(all, choice{way: i, lines: -1, segments: segments})
			}
		}
		if used&sentencePiece != 0 && len(all) == 0 {
			if way, ok := c.cutWay(room(segments), total); ok {
				all = append(all, choice{way: way, lines: -1, segments: segments})
			}
		}
	}
	return all
}

// septetsOfLines returns the septets of the pieces about several alerts.
func (c *composition) septetsOfLines(ch choice, used piece) int {
	total := 0
	if used&subjectPiece != 0 {
		total += septets(c.subject(ch), c.set.to)
	}
	if sentence := c.sentence(ch); used&sentencePiece != 0 && sentence != "" {
		total += septets(sentence, c.set.to) + separators
	}
	if used&spreadPiece != 0 && ch.plain {
		if text := c.spread(); text != "" {
			total += septets(text, c.set.to) + separators
		}
	}
	if used&(linesPiece|resolvedPiece) != 0 {
		for _, line := range c.lines(ch, false) {
			total += septets(line, c.set.to) + 1
		}
		for i, line := range c.lines(ch, true) {
			if i == 0 && c.view.FiringCount > 0 {
				total += len("\nResolved: ") - separators
			}
			total += septets(line, c.set.to) + separators
		}
	}
	return total
}

// choicesOfGroup returns the choices for alerts of one name. They list all lines: with the shared
// sentence and the figures, then without the sentence, then without both, then also without the
// names of resolved alerts, and last only with the objects that the rule's author named. If none
// fits, one segment lists as many lines as it can.
func (c *composition) choicesOfGroup(rest int, used piece, maxSegments int) []choice {
	ways := []choice{{lines: -1}, {lines: -1, bare: true}, {lines: -1, bare: true, plain: true}, {lines: -1, bare: true, plain: true, quiet: true}}
	if c.merged != nil {
		ways = append(ways, choice{lines: -1, bare: true, plain: true, quiet: true, lean: true})
	}
	all := c.complete(ways, rest, used, 1, maxSegments)
	return append(all, c.fewerLines(ways[len(ways)-1], rest, used, maxSegments)...)
}

// complete returns those of the given choices that fit into a number of segments from least to
// most, fewest first.
func (c *composition) complete(ways []choice, rest int, used piece, least, most int) []choice {
	if c.hidden(everything) > 0 {
		return nil
	}
	var all []choice
	septets := make([]int, len(ways))
	for i, way := range ways {
		septets[i] = rest + c.septetsOfLines(way, used)
	}
	for segments := least; segments <= most; segments++ {
		for i, way := range ways {
			if septets[i] <= room(segments) {
				way.segments = segments
				all = append(all, way)
			}
		}
	}
	return all
}

// fewerLines returns choices of as many first lines as fit into one segment, or into the fewest
// segments that hold a line.
func (c *composition) fewerLines(way choice, rest int, used piece, maxSegments int) []choice {
	if used&(linesPiece|resolvedPiece) == 0 {
		return nil
	}
	for segments := 1; segments <= maxSegments; segments++ {
		way.lines = -1
		way.lines = len(c.shown(way))
		n := sort.Search(min(way.lines, room(segments)/2), func(n int) bool {
			way.lines = n + 1
			return rest+c.septetsOfLines(way, used)+moreSeptets(c.hidden(way)) > room(segments)
		})
		var all []choice
		for step := 1; n > 0; n, step = n-step, 2*step { // the estimate may be wrong, by much for a huge text
			way.lines, way.segments = n, segments
			all = append(all, way)
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// moreSeptets returns the septets of "+N more" on a line of its own.
func moreSeptets(hidden int) int {
	if hidden == 0 {
		return 0
	}
	return len("\n+ more") + len(strconv.Itoa(hidden))
}

// choicesOfNames returns the choices for alerts of several names: a line for each name with
// everything that is broken, or every name with as many of its objects as fit. One segment is
// enough if each of the most severe names has an object (see fillsEnough).
func (c *composition) choicesOfNames(rest int, used piece, maxSegments int) []choice {
	ways := []choice{
		{lines: -1}, {lines: -1, plain: true}, {lines: -1, plain: true, lean: true}, {lines: -1, plain: true, lean: true, quiet: true},
	}
	names := choice{lines: -1, plain: true, lean: true, names: true, quiet: true}
	short := rest + c.septetsOfLines(names, used)
	all := c.complete(ways, rest, used, 1, 1)
	complete := c.hidden(everything) == 0
	if names.room = room(1) - short; complete && names.room > 0 && c.fillsEnough(names) {
		names.segments = 1
		all = append(all, names)
	}
	all = append(all, c.complete(ways, rest, used, 2, maxSegments)...)
	for segments := 1; segments <= maxSegments && complete; segments++ {
		if left := room(segments) - short; left >= 0 {
			names.segments, names.room = segments, left
			all = append(all, names)
		}
	}
	names.room = 0
	return append(all, c.fewerLines(names, rest, used, maxSegments)...)
}

// fillsEnough reports whether each of the most severe names has an object written, and at least a
// third of their objects are written.
func (c *composition) fillsEnough(ch choice) bool {
	written, all := 0, 0
	for i, n := range c.fill(c.entries, ch) {
		e := &c.entries[i]
		if e.resolved || e.severity != "" {
			continue
		}
		objects := len(e.objectsOf(ch))
		if n == 0 && objects > 0 {
			return false
		}
		written, all = written+n, all+objects
	}
	return 3*written >= all
}
