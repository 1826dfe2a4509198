package people

import (
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating/gsm7"
)

const (
	// NoticeSegments is the maximum length of a notice, in segments.
	NoticeSegments = 3
	// noticeAge is how long a notice may wait to be sent; alarmAge is the same for an alarm, which is not
	// repeated.
	noticeAge = time.Hour
	alarmAge  = 24 * time.Hour
	// noticeReceiver is the Receiver of messages that belong to no receiver. The configuration
	// accepts no receiver with its prefix.
	noticeReceiver = "smspager:oncall"
	// ReplyGroup and verifyGroup begin the group keys of messages that their recipient has asked for.
	ReplyGroup  = "smspager:reply:"
	verifyGroup = "smspager:verify:"
)

// Notices makes smspager's own messages: confirmations, warnings, alarms.
type Notices struct{ ids *outbox.IDs }

// NewNotices returns Notices that take the IDs of their messages from ids.
func NewNotices(ids *outbox.IDs) *Notices { return &Notices{ids} }

// NewID returns an ID greater than all earlier ones of this process.
func (n *Notices) NewID(at time.Time) string { return n.ids.New(at) }

// SameID returns the ID of a message that is due at a time; see [outbox.IDs.Same].
func (n *Notices) SameID(due, now time.Time, of ...string) string { return n.ids.Same(due, now, of...) }

// Notice returns a message to a person, in the lane of a group key. Limits do not hold it.
func (n *Notices) Notice(to outbox.Person, group string, at time.Time, text string) outbox.Message {
	text = gsm7.Truncate(gsm7.Transliterate(text, textinghouse.Alphabet), NoticeSegments)
	size := gsm7.Measure(text)
	return outbox.Message{
		ID: n.ids.New(at), To: to.Number, Receiver: noticeReceiver, GroupKey: group, Headline: "smspager", Urgent: true,
		Text: text, Encoding: size.Encoding, Segments: size.Segments, State: outbox.Queued,
		CreatedAt: at, UpdatedAt: at, NotBefore: to.NotBefore, ExpiresAt: to.Earliest(at).Add(noticeAge),
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued}},
	}
}

// Alarm returns a notice to each of several people. Because an alarm is not repeated, it may wait
// longer than other notices.
func (n *Notices) Alarm(to []outbox.Person, group string, at time.Time, text string) []outbox.Message {
	var ms []outbox.Message
	for _, person := range to {
		m := n.Notice(person, group, at, text)
		m.ExpiresAt = person.Earliest(at).Add(alarmAge)
		ms = append(ms, m)
	}
	return ms
}

// Fits reports whether a text fits into a notice uncut.
func Fits(text string) bool {
	return gsm7.Measure(gsm7.Transliterate(text, textinghouse.Alphabet)).Segments <= NoticeSegments
}

// AskedFor reports whether a message is a confirmation or a verification: its recipient has asked
// for it.
func AskedFor(m *outbox.Message) bool {
	return strings.HasPrefix(m.GroupKey, ReplyGroup) || strings.HasPrefix(m.GroupKey, verifyGroup)
}
