package textinghousetest

import (
	"time"

	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// begin starts the statuses of a message: immediately, or, for a commercial one outside
// permitted hours, when these begin. s.mu is held.
func (s *Simulator) begin(m *message, now time.Time) {
	if m.Commercial {
		if at := s.permitted(now); at.After(now) {
			m.Retained = at
			s.after(m, at.Sub(now), func() { s.step(m) })
			return
		}
	}
	s.after(m, s.options.StatusDelay, func() { s.step(m) })
}

// after calls do with s.mu held, now or after a delay, unless the simulator was closed
// meanwhile. s.mu is held.
func (s *Simulator) after(m *message, delay time.Duration, do func()) {
	if delay <= 0 {
		do()
		return
	}
	m.timer = time.AfterFunc(delay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.ended {
			do()
		}
	})
}

// step sets the next status: 0, 1, then the final one. s.mu is held.
func (s *Simulator) step(m *message) {
	next := textinghouse.StatusSent
	if m.Status() == textinghouse.StatusSent {
		next = textinghouse.StatusReceived
		if outcome, set := s.outcomes[m.To]; set && m.To != "999" {
			next = outcome
		}
		if next == Never {
			return
		}
	}
	m.Statuses = append(m.Statuses, next)
	s.notify()
	if m.account.ReceiptURL != "" && (next.Final() || m.account.AllReceipts) {
		s.callbacks.receipt(m, next)
	}
	if !next.Final() {
		s.after(m, s.options.StatusDelay, func() { s.step(m) })
	}
}

// permitted returns the first moment, at or after a time, at which commercial messages are sent:
// on weekdays within the hours of the options, on Saturdays from 10:00 to 15:00, never on
// Sundays and public holidays (seed, 4.3).
func (s *Simulator) permitted(from time.Time) time.Time {
	location := s.options.Location
	if location == nil {
		var err error
		if location, err = zoneinfo.Load("Europe/Paris"); err != nil {
			location = time.UTC
		}
	}
	holiday := s.options.Holiday
	if holiday == nil {
		holiday = frenchHoliday
	}
	t := from.In(location)
	for range 366 {
		year, month, day := t.Date()
		first, last := s.options.WeekdayOpen, s.options.WeekdayClose
		if first == 0 && last == 0 {
			first, last = 8, 20
		}
		if t.Weekday() == time.Saturday {
			first, last = 10, 15
		}
		open := time.Date(year, month, day, first, 0, 0, 0, location)
		closing := time.Date(year, month, day, last, 0, 0, 0, location)
		if t.Weekday() != time.Sunday && !holiday(year, month, day) && t.Before(closing) {
			if t.Before(open) {
				return open
			}
			return t
		}
		t = time.Date(year, month, day+1, 0, 0, 0, 0, location)
	}
	return t
}

// frenchHoliday reports the public holidays of France (Code du travail, L3133-1).
func frenchHoliday(year int, month time.Month, day int) bool {
	switch {
	case month == time.January && day == 1, month == time.May && (day == 1 || day == 8), month == time.July && day == 14,
		month == time.August && day == 15, month == time.November && (day == 1 || day == 11), month == time.December && day == 25:
		return true
	}
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	switch days := int(date.Sub(easter(year)).Hours()) / 24; days {
	case 1, 39, 50: // Easter Monday, Ascension Day, Whit Monday
		return true
	}
	return false
}

// easter returns Easter Sunday, by the computus of Meeus, Jones and Butcher.
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	f := (b + 8) / 25
	g := (b - f + 1) / 3
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(year, time.Month(n/31), n%31+1, 0, 0, 0, 0, time.UTC)
}
