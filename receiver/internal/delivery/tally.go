package delivery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

const (
	// digestSegments is the longest digest, in segments; stormSegments is the same for a digest of
	// urgent messages.
	digestSegments = 2
	stormSegments  = 3
	// stormHeadline is the longest headline in a digest of urgent messages, in septets.
	stormHeadline = 40
	// howToAsk ends a digest that lacks the code of a page.
	howToAsk = "\nReply ? for their codes"
)

// tally lists messages by what they are about.
type tally struct {
	order    *templating.SeverityOrder
	messages int // with those that they superseded
	groups   map[string]bool
	entries  []entry
	urgent   bool // all messages are urgent
}

// entry is one message of a tally.
type entry struct {
	id, headline, severity, code string
	rank                         int
	page                         bool
}

// add adds a message that counts as a number of messages. code is the code of its page, "" if the
// page is over.
func (t *tally) add(m outbox.Message, messages int, code string) {
	if t.groups == nil {
		t.groups, t.urgent = make(map[string]bool), true
	}
	t.messages += messages
	t.groups[m.Receiver+" "+m.GroupKey] = true
	t.urgent = t.urgent && m.Urgent
	t.entries = append(t.entries, entry{m.ID, m.Headline, m.Severity, code, t.order.Rank(m.Severity), m.PageID != ""})
}

// has reports whether a message was added.
func (t *tally) has(id string) bool {
	return slices.ContainsFunc(t.entries, func(e entry) bool { return e.id == id })
}

// sorted returns the entries, most severe first.
func (t *tally) sorted() []entry {
	return slices.SortedFunc(slices.Values(t.entries), func(a, b entry) int {
		return cmp.Or(a.rank-b.rank, strings.Compare(a.headline, b.headline), strings.Compare(a.id, b.id))
	})
}

// digest is a text that replaces messages.
type digest struct {
	text     string
	ids      []string // IDs of the replaced messages
	severity string   // of the most severe of them, "" unless they are urgent
}

// digests returns the texts that replace the messages: one or, if the messages are urgent, as many
// as it takes to name all of them.
func (t *tally) digests(what string) []digest {
	all := t.sorted()
	if !t.urgent {
		d := digest{text: t.text("", what)}
		for _, e := range all {
			d.ids = append(d.ids, e.id)
		}
		return []digest{d}
	}
	for i := range all {
		all[i].headline = gsm7.TruncateUnits(all[i].headline, stormHeadline)
	}
	var ds []digest
	head := t.head("", what)
	for len(all) > 0 {
		n := 1
		for n < len(all) && gsm7.Measure(head+listed(all[:n+1], true)).Segments <= stormSegments {
			n++
		}
		d := digest{text: head + listed(all[:n], true), severity: all[0].severity}
		for _, e := range all[:n] {
			d.ids = append(d.ids, e.id)
		}
		ds, all, head = append(ds, d), all[n:], "Also: "
	}
	return ds
}

func (t *tally) head(before, what string) string {
	return fmt.Sprintf("%s%s in %s: ", before, what, templating.Counted(len(t.groups), "group"))
}

// text returns "14 more in 9 groups: CRITICAL TargetDown 4821, WARNING DiskFull (3)", with as many
// names as fit, most severe first.
func (t *tally) text(before, what string) string {
	all, head := t.sorted(), t.head(before, what)
	tail := ""
	if slices.ContainsFunc(all, func(e entry) bool { return e.page && e.code == "" && e.severity != templating.SeverityResolved }) {
		tail = howToAsk
	}
	for _, lean := range []bool{false, true} {
		if text := head + listed(all, lean) + tail; gsm7.Measure(text).Segments <= digestSegments {
			return text
		}
	}
	if slices.ContainsFunc(all, func(e entry) bool { return e.code != "" }) {
		tail = howToAsk
	}
	n, rest := 0, ""
	for n < len(all) {
		longer := fmt.Sprintf(", +%d", names(all[n+1:]))
		if gsm7.Measure(head+listed(all[:n+1], true)+longer+tail).Segments > digestSegments {
			break
		}
		n++
		rest = longer
	}
	if n == 0 {
		rest = fmt.Sprintf("+%d", names(all))
	}
	return gsm7.TruncateBefore(head+listed(all[:n], true)+rest, tail, digestSegments)
}

// names returns how many different headlines sorted entries have.
func names(es []entry) int {
	n := 0
	for i := range es {
		if i == 0 || es[i].headline != es[i-1].headline {
			n++
		}
	}
	return n
}

// listed returns "CRITICAL TargetDown 4821 5377, WARNING DiskFull (3)". A lean list does not
// repeat the severity: "WARNING DiskFull 4821, Load 5377".
func listed(es []entry, lean bool) string {
	var b strings.Builder
	word := ""
	for len(es) > 0 {
		headline := es[0].headline
		n := 1
		for n < len(es) && es[n].headline == headline {
			n++
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		first, rest, more := strings.Cut(headline, " ")
		if lean && more && first == word {
			headline = rest
		}
		word = first
		b.WriteString(headline)
		coded := 0
		for _, e := range es[:n] {
			if e.code != "" {
				coded++
				b.WriteString(" " + e.code)
			}
		}
		if n > max(1, coded) {
			fmt.Fprintf(&b, " (%d)", n)
		}
		es = es[n:]
	}
	return b.String()
}
