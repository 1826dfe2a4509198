package oncall

import (
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating/gsm7"
)

// sameDigits is how many equal digits at the end make two numbers the same, if the ids of a reply name a
// message to one of them. The forms of a number differ if one is national, and in Mexico and Argentina,
// where mobile numbers have an extra digit when dialled from abroad.
const sameDigits = 7

// sender returns the number of a reply's sender. It is the recipient of m, the message that the reply
// responds to, if the reply has no number or another form of that number; otherwise the reply's own.
func (rs *replies) sender(reply textinghouse.Reply, m *outbox.Message) e164.Number {
	from := e164.Number(reply.From)
	if rs.people.Registered(from) {
		return from
	}
	digits := onlyDigits(reply.From)
	if m != nil && (digits == "" || len(digits) >= sameDigits && strings.HasSuffix(string(m.To), digits[len(digits)-sameDigits:])) {
		return m.To
	}
	for _, form := range [][2]string{{"+521", "+52"}, {"+52", "+521"}, {"+549", "+54"}, {"+54", "+549"}} {
		if rest, ok := strings.CutPrefix(reply.From, form[0]); ok && rs.people.Registered(e164.Number(form[1]+rest)) {
			return e164.Number(form[1] + rest)
		}
	}
	return from
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// tooFast reports whether a machine must have written a reply, because nobody types this much within
// two seconds of the receipt. It returns false if the reply's date is before the message, or if a code
// shows that somebody has read the text.
func tooFast(r *received, m *outbox.Message) bool {
	const (
		reaction = 2 * time.Second
		words    = 30 // characters
	)
	if m == nil || !r.command.Chat || len(r.command.Codes) > 0 || len(r.text) < words || r.written.Before(m.CreatedAt) {
		return false
	}
	for _, e := range m.Events {
		if e.Type == outbox.EventDelivered {
			return r.at.Sub(e.At) < reaction
		}
	}
	return false
}

// continues reports whether a reply is the rest of a previous one that was too long for one text: it
// comes within a minute, with about the same date, after a reply of about full length.
func (rs *replies) continues(r *received) bool {
	const (
		within  = time.Minute
		apart   = 5 * time.Second
		septets = 140 // the first segment has 153 at most
		units   = 60  // in UCS-2, 67 at most
	)
	rs.mu.Lock()
	first := rs.latest[r.from].reply
	rs.mu.Unlock()
	if first != nil && first.command.Verb.Unclear() && !r.command.Verb.Unclear() {
		return false // the segments came in the wrong order: this is the first
	}
	if first == nil || r.at.Sub(first.at) > within || first.text == r.text || r.date.Sub(first.date).Abs() > apart {
		return false
	}
	size := gsm7.Measure(first.text)
	return size.Units >= septets || size.Encoding == gsm7.UCS2 && size.Units >= units
}

// confirmed reports whether the phone got the same confirmation within the provider's flood window. The provider would
// refuse the repetition, and a later attempt might be wrong by then.
func (rs *replies) confirmed(r *received, text string) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	last := rs.latest[r.from]
	return last.confirmed == text && r.at.Sub(last.confirmedAt) < textinghouse.FloodWindow
}

// remember updates the latest reply from a phone and the latest confirmation to it.
func (rs *replies) remember(r *received, d *decision) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.latest == nil {
		rs.latest = make(map[e164.Number]latest)
	}
	now := rs.latest[r.from]
	if !d.continues {
		now.reply = r
	}
	if did := actOf(r, d); did != nil {
		now.act = did
	}
	if r.confirm && d.text != "" && (now.confirmed != d.text || r.at.Sub(now.confirmedAt) >= textinghouse.FloodWindow) {
		now.confirmed, now.confirmedAt = d.text, r.at
	}
	rs.latest[r.from] = now
}
