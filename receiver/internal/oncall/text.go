package oncall

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// answerSegments is how long an answer to a phone may be.
const answerSegments = 3

// SampleTail is what a page's text ends with, with a code made up.
const SampleTail = "Re 4821"

// tail is what a page's text ends with: the code, and before it why somebody is
// paged who was not at first.
func (p *page) tail(why string) string {
	if why != "" {
		why += ". "
	}
	return why + "Re " + p.Code
}

// notice is a message of our own, in a lane of its own.
func (o *OnCall) notice(to outbox.Person, group string, at time.Time, text string) outbox.Message {
	text = gsm7.Truncate(gsm7.Transliterate(text), answerSegments)
	size := gsm7.Measure(text)
	return outbox.Message{
		ID: o.ids.New(at), To: to.Number, Receiver: noticeReceiver, GroupKey: group, Headline: "smspager", Urgent: true,
		Text: text, Encoding: size.Encoding, Segments: size.Segments, State: outbox.Queued,
		CreatedAt: at, UpdatedAt: at, NotBefore: to.NotBefore, ExpiresAt: latest(at, to.NotBefore).Add(noticeAge),
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued}},
	}
}

// alarm is a notice that is not said again, and so may wait for longer.
func (o *OnCall) alarm(to outbox.Person, group string, at time.Time, text string) outbox.Message {
	m := o.notice(to, group, at, text)
	m.ExpiresAt = latest(at, to.NotBefore).Add(alarmAge)
	return m
}

// noticeReceiver stands as Receiver in messages that are of no receiver. The
// configuration refuses receivers with this prefix.
const noticeReceiver = "smspager:oncall"

// noticeAge is how long a notice may wait to be sent, and alarmAge one that is not
// said again.
const (
	noticeAge = time.Hour
	alarmAge  = 24 * time.Hour
)

// replyGroup and verifyGroup begin the group keys of what phones asked for.
const (
	replyGroup  = "smspager:reply:"
	verifyGroup = "smspager:verify:"
)

// isAnswer reports whether a message is one that its recipient asked for.
func isAnswer(m *outbox.Message) bool {
	return strings.HasPrefix(m.GroupKey, replyGroup) || strings.HasPrefix(m.GroupKey, verifyGroup)
}

// about is a notice to somebody who was paged, in the lane of the page: it comes
// after the page, and in its place where that was not sent yet.
func (o *OnCall) about(p *page, to outbox.Person, at time.Time, text string) outbox.Message {
	m := o.notice(to, p.GroupKey, at, text)
	m.Receiver, m.PageID, m.Headline, m.Severity = p.Receiver, p.ID, p.Headline, p.Severity
	return m
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// line is a page in a list for a phone: its code, what it is about, since when, and
// who has it.
func line(p *page, reader e164.Number, now time.Time) string {
	text := fmt.Sprintf("%s %s, %s", p.Code, p.Headline, span(now.Sub(p.OpenedAt)))
	switch {
	case p.State == outbox.PageSilenced:
		text += ", silenced"
	case p.AcknowledgedBy == "":
	case p.Number == string(reader):
		text += ", you have it"
	default:
		text += ", " + p.AcknowledgedBy + " has it"
	}
	return text
}

// brief is a page in a list of those that somebody has now.
func (p *page) brief() string { return p.Code + " " + p.Headline }

// lines is pages one below the other, with as many as fit and how many more.
func lines(head string, pages []*page, reader e164.Number, now time.Time) string {
	return listed(head, pages, func(p *page) string { return line(p, reader, now) })
}

func listed(head string, pages []*page, line func(*page) string) string {
	text := head
	for i, p := range pages {
		longer := text + "\n" + line(p)
		rest := ""
		if left := len(pages) - i - 1; left > 0 {
			rest = fmt.Sprintf("\n+%d more", left)
		}
		if gsm7.Measure(gsm7.Transliterate(longer+rest)).Segments > answerSegments {
			return fmt.Sprintf("%s\n+%d more", text, len(pages)-i)
		}
		text = longer
	}
	return text
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// span is a length of time, in two units.
func span(d time.Duration) string { return cmp.Or(templating.Duration(d), "0s") }

const helpText = "OK or a code: I have it. 4821 2h: silence it. UNDO takes it back. ?: what is open. WHO: who is on duty. STOP: no more texts."

// dutyText is who is on duty, of each rota, or who is paged where there is none.
func (s *settings) dutyText(now time.Time) string {
	var parts []string
	for _, name := range s.roster.Rotas() {
		on := s.roster.At(name, now)
		who := strings.Join(on.Contacts, ", ")
		switch {
		case who == "":
			who = "nobody"
		case on.Gap:
			who += " (default)"
		}
		parts = append(parts, fmt.Sprintf("%s: %s until %s", name, who, on.End.In(s.roster.find(name).Zone).Format("Mon 15:04 MST")))
	}
	if len(parts) == 0 {
		for _, r := range s.cfg.Receivers {
			var names []string
			for _, rc := range r.Recipients {
				names = append(names, s.directory.person(rc.Number).String())
			}
			if len(names) > 0 {
				parts = append(parts, r.Name+": "+strings.Join(names, ", "))
			}
		}
	}
	if len(parts) == 0 {
		return "No rota and no recipients are set up."
	}
	return strings.Join(parts, "\n")
}
