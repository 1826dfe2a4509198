package people

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/people/rota"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// maxCalendarBytes is the maximum size of a calendar.
const maxCalendarBytes = 8 << 20

// CalendarError is the reason why a rota's calendar cannot be used.
type CalendarError struct {
	Rota string
	File bool // false: the calendar is at a URL, which may work again later
	Err  error
}

func (e *CalendarError) Error() string { return fmt.Sprintf("rota %q: %v", e.Rota, e.Err) }
func (e *CalendarError) Unwrap() error { return e.Err }

// Load reads the calendars of all rotas and returns an error for each one that failed. A rota whose
// calendar cannot be read keeps the one that it read before.
func (r *Roster) Load(ctx context.Context) []*CalendarError {
	var errs []*CalendarError
	for _, d := range r.duties {
		if _, err := d.load(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// load reads a rota's calendar, if it has one. It returns the calendar if it has changed.
func (d *duty) load(ctx context.Context) (fresh []byte, failure *CalendarError) {
	if d.Turns.Start != "" {
		return nil, nil
	}
	data, etag, err := d.read(ctx)
	if err == nil && data != nil {
		err = d.use(data)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed = err; err != nil {
		return nil, &CalendarError{Rota: d.Name, File: d.Calendar != "", Err: err}
	}
	d.readAt, d.etag = time.Now(), etag
	return data, nil
}

// use parses a calendar and makes it the rota's.
func (d *duty) use(data []byte) error {
	c, err := rota.ParseCalendar(data, d.Zone)
	if err != nil {
		return err
	}
	now := time.Now()
	var wrong []error
	for _, s := range c.Skipped {
		if past := s.LastDay != "" && s.LastDay < now.Add(-day).UTC().Format("20060102"); !past && len(d.match(s.Shift)) > 0 {
			wrong = append(wrong, s)
		}
	}
	if len(wrong) > 0 { // without these events the wrong person would be on duty
		return errors.Join(wrong...)
	}
	c.Prepare(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rota = c
	return nil
}

// Warnings lists what is left out of the calendars of rotas, because it cannot be read and names no
// contact or is over, and the time zones that a calendar defines differently from the time zone data.
func (r *Roster) Warnings(now time.Time) []string {
	var all []string
	for _, d := range r.duties {
		if c := d.calendar(); c != nil {
			for _, s := range c.Skipped {
				all = append(all, fmt.Sprintf("rota %q: %v; ignored, because it names no contact or is over", d.Name, s))
			}
		}
		for _, g := range d.disagreements(now) {
			all = append(all, fmt.Sprintf("rota %q: %v", d.Name, g))
		}
	}
	return all
}

// disagreements returns the time zones for which the rota's calendar and the time zone data give different
// times in the next weeks.
func (d *duty) disagreements(now time.Time) []rota.Disagreement {
	const weeks = 8
	c := d.calendar()
	if c == nil {
		return nil
	}
	return c.Disagreements(now, now.Add(weeks*7*day))
}

// read reads the file or fetches the URL. The data is nil if it has not changed.
func (d *duty) read(ctx context.Context) (data []byte, etag string, err error) {
	if d.Calendar != "" {
		f, err := os.Open(d.Calendar)
		if err == nil {
			defer f.Close()
			data, err = readCalendar(f)
		}
		if errors.As(err, new(*fs.PathError)) {
			err = config.Unreadable(err)
		}
		return data, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.CalendarURL.Reveal(), nil)
	if err != nil {
		return nil, "", errors.New("the calendar's URL is unusable")
	}
	d.mu.Lock()
	if d.etag != "" {
		req.Header.Set("If-None-Match", d.etag)
	}
	etag = d.etag
	d.mu.Unlock()
	resp, err := d.client.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the URL, which is a secret
		}
		return nil, "", fmt.Errorf("the calendar cannot be read: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		return nil, etag, nil
	case http.StatusOK:
		data, err = readCalendar(resp.Body)
		return data, resp.Header.Get("ETag"), err
	}
	return nil, "", fmt.Errorf("the calendar cannot be read: its server responds %s", resp.Status)
}

func readCalendar(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxCalendarBytes+1))
	if err == nil && len(data) > maxCalendarBytes {
		err = fmt.Errorf("the calendar has more than %d bytes", maxCalendarBytes)
	}
	if err == nil && len(data) == 0 {
		err = errors.New("the calendar is empty")
	}
	return data, err
}

// calendarMarks hold the last good copy of each rota's calendar, for a start while the calendar cannot be
// read.
const calendarMarks mark.Kind[calendarCopy] = "calendar"

// calendarCopy is a calendar in the outbox.
type calendarCopy struct {
	Source string `json:"source"` // a hash of the file's name, or of the URL
	Text   string `json:"text"`
}

// source identifies the origin of the calendar without showing the URL, which is a secret.
func (d *duty) source() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(d.Calendar+d.CalendarURL.Reveal())))
}

// UseCopies uses the outbox's copies of the calendars that have not been read yet.
func (r *Roster) UseCopies(ctx context.Context, store mark.Reader) error {
	if !slices.ContainsFunc(r.duties, func(d *duty) bool { return d.Turns.Start == "" }) {
		return nil // no rota has a calendar
	}
	kept, err := calendarMarks.All(ctx, store)
	errs := []error{err}
	for _, m := range kept {
		d := r.find(m.Name)
		if d == nil || d.current() != nil || m.Value.Source != d.source() {
			continue
		}
		if err := d.use([]byte(m.Value.Text)); err != nil {
			errs = append(errs, fmt.Errorf("the copy of rota %q: %w", m.Name, err))
		}
	}
	return errors.Join(errs...)
}

// inherit takes over the calendars that another roster has read from the same source and in the same time
// zone.
func (r *Roster) inherit(from *Roster) {
	for _, d := range r.duties {
		old := from.find(d.Name)
		if old == nil || old.Calendar != d.Calendar || old.CalendarURL != d.CalendarURL || old.Zone.String() != d.Zone.String() || d.current() != nil {
			continue
		}
		d.since = old.since
		old.mu.Lock()
		known, etag, readAt := old.rota, old.etag, old.readAt
		old.mu.Unlock()
		if r.zones != from.zones {
			etag = "" // read the calendar again, with the new time zone data
		}
		d.mu.Lock()
		d.rota, d.etag, d.readAt = known, etag, readAt
		d.mu.Unlock()
	}
}

// runRotas reads the calendars of rotas until the context ends.
func (d *Directory) runRotas(ctx context.Context) {
	for ctx.Err() == nil {
		roster := d.Roster()
		if err := roster.UseCopies(ctx, d.spool); err != nil && ctx.Err() == nil {
			d.logger.Error("the copies of calendars cannot be used", "err", err)
		}
		reading, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		for _, rota := range roster.duties {
			if rota.Turns.Start == "" {
				all.Go(func() {
					loop.Repeat(reading, d.reads, nil, func() time.Duration {
						d.readRota(reading, roster, rota)
						return rota.Refresh
					})
				})
			}
		}
		select {
		case <-ctx.Done():
		case <-d.changed:
		}
		stop()
		all.Wait()
	}
}

func (d *Directory) readRota(ctx context.Context, r *Roster, rota *duty) {
	fresh, err := rota.load(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		d.logger.Error("a rota cannot be read; the last good copy is used", "err", err)
	case err == nil:
		if fresh != nil {
			for _, s := range rota.calendar().Skipped {
				d.logger.Warn("an event of a rota's calendar cannot be read, and is left out: it names no contact or is over", "rota", rota.Name, "err", s)
			}
			d.keepCopy(ctx, rota, fresh)
		}
		differing := rota.disagreements(d.spool.Now())
		d.metrics.zonesDiffer.WithLabelValues(rota.Name).Set(float64(len(differing)))
		for _, g := range differing {
			d.logger.Warn("a rota's calendar and the time zone data define a time zone differently", "rota", rota.Name, "difference", g.String())
		}
	}
}

// keepCopy stores a calendar, unless the same copy is stored already.
func (d *Directory) keepCopy(ctx context.Context, rota *duty, data []byte) {
	_, err := d.spool.Commit(ctx, spool.Later, func(ctx context.Context) (*outbox.Entry, error) {
		kept, err := calendarMarks.Find(ctx, d.spool, rota.Name)
		fresh := calendarCopy{Source: rota.source(), Text: string(data)}
		if err != nil || kept.Value == fresh {
			return nil, err
		}
		kept.Value = fresh
		return &outbox.Entry{Marks: []outbox.Mark{calendarMarks.Set(kept, d.spool.Now())}}, nil
	})
	if err != nil && ctx.Err() == nil {
		d.logger.Error("cannot keep a copy of a calendar", "rota", rota.Name, "err", err)
	}
}
