package console

import (
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/internal/status"
)

// fact is a row with a name, its state and details.
type fact struct {
	Name, Word, Class string
	Before            string // the detail; At and After follow it
	At                when
	After             string
}

// outbound returns the rows of what lies between smspager and the phones.
func outbound(f *Frame, s *status.Status) []fact {
	var all []fact
	inUse := false
	for _, e := range s.Endpoints {
		row := fact{Name: e.Host, Word: "does not respond", Class: "is-bad", Before: "the last request failed"}
		switch {
		case e.Up && !inUse:
			row.Word, row.Class, row.Before, inUse = "in use", "is-ok", "the last request succeeded", true
		case e.Up:
			row.Word, row.Class, row.Before = "in reserve", "is-wait", "used if the one before it fails"
		}
		all = append(all, row)
	}
	return append(all, account(f, s)...)
}

// account returns the rows of the account, its credit and the probe.
func account(f *Frame, s *status.Status) []fact {
	account := fact{Name: "Account", Word: "accepted", Class: "is-ok"}
	if s.Account.Refused != "" {
		account.Word, account.Class, account.Before = "refused", "is-bad", f.Shown(s.Account.Refused)
	}
	credit := fact{Name: "Credit", Word: "not read yet", Class: "is-wait"}
	if s.Account.Credit != nil {
		credit.Word, credit.Class = thousands(*s.Account.Credit), ""
		if s.Account.DaysLeft != nil {
			credit.Before = fmt.Sprintf("for %s at last week’s pace; ", counted(int(*s.Account.DaysLeft), "day"))
		}
		if s.Account.ReadAt != nil {
			credit.Before, credit.At = credit.Before+"read ", f.when(time.Time(*s.Account.ReadAt))
		}
	}
	return []fact{account, credit, probe(f, s.Probe)}
}

// probe returns the row of the probe.
func probe(f *Frame, p status.Probe) fact {
	row := fact{Name: "Probe", Word: "off", Class: "is-wait", Before: "set probe.interval to measure the chain, without cost"}
	if p.Interval == "0s" || p.Interval == "" {
		return row
	}
	row.Word, row.Before = "none yet", "one is sent every "+p.Interval
	if p.Took != nil && p.DeliveredAt != nil {
		row.Word, row.Class, row.Before, row.At = seconds(time.Duration(*p.Took*float64(time.Second))), "is-ok", "to 999 and back, every "+p.Interval+"; the last one ", f.when(time.Time(*p.DeliveredAt))
	}
	if p.Late {
		row.Class, row.Word = "is-warn", "late"
	}
	return row
}

// inside returns the rows of smspager's own parts.
func inside(f *Frame, s *status.Status) []fact {
	queue := fact{Name: "Queue", Word: "empty", Class: "is-ok"}
	if s.Queue.Waiting > 0 {
		queue.Word, queue.Class = counted(s.Queue.Waiting, "message"), "is-wait"
		if s.Queue.OldestAt != nil {
			queue.Before, queue.At = "waiting; the oldest since ", f.when(time.Time(*s.Queue.OldestAt))
		}
	}
	spool := fact{Name: "Spool", Word: "empty", Class: "is-ok", Before: "the outbox can be written"}
	if s.Spool.Backlog > 0 {
		spool.Word, spool.Class, spool.Before = fmt.Sprintf("%d wait", s.Spool.Backlog), "is-wait", "to be stored"
		if s.Spool.Since != nil {
			spool.Before, spool.At = "to be stored; the oldest since ", f.when(time.Time(*s.Spool.Since))
		}
	}
	if s.Spool.Trouble != "" {
		spool.Class, spool.After = "is-bad", "the outbox cannot be written: "+f.Shown(s.Spool.Trouble)
		spool.Before = ""
		if spool.Word == "empty" {
			spool.Word = "in trouble"
		}
	}
	leader := fact{Name: "Leader", Word: "this process", Class: "is-ok", Before: "it is the only one"}
	switch {
	case s.Leader.Shared && s.Leader.Leading:
		leader.Before = "other replicas follow"
	case s.Leader.Shared:
		leader.Word, leader.Class, leader.Before = "another replica", "is-wait", "this one takes over if that ends"
	case !s.Leader.Leading:
		leader.Word, leader.Class, leader.Before = "nobody", "is-warn", "nothing is sent until this process leads"
	}
	all := []fact{queue, spool, leader}
	for _, calendar := range s.Calendars {
		if calendar.Source != "turns" {
			all = append(all, calendarFact(f, calendar))
		}
	}
	configuration := fact{Name: "Configuration", Word: "in force", Class: "is-ok", Before: "loaded ", At: f.when(time.Time(s.Configuration.LoadedAt))}
	if s.Configuration.Error != "" {
		configuration.Word, configuration.Class = "reload failed", "is-bad"
		if s.Configuration.FailedAt != nil {
			configuration.After = fmt.Sprintf("; a later one was refused at %s", f.when(time.Time(*s.Configuration.FailedAt)).Clock())
		}
	}
	return append(all, configuration)
}

func calendarFact(f *Frame, calendar status.Calendar) fact {
	row := fact{Name: "Calendar of " + calendar.Rota, Word: "fresh", Class: "is-ok"}
	if calendar.ReadAt != nil {
		row.Before, row.At = "read ", f.when(time.Time(*calendar.ReadAt))
	}
	switch {
	case calendar.ReadAt == nil:
		row.Word, row.Class, row.Before = "never read", "is-bad", f.Shown(calendar.Error)
	case calendar.Error != "":
		row.Word, row.Class, row.After = "old", "is-warn", ": "+f.Shown(calendar.Error)
	}
	return row
}
