package oncall

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/internal/oncall/rota"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// calendarTimeout and maxCalendarBytes bound the reading of a calendar.
	calendarTimeout  = 10 * time.Second
	maxCalendarBytes = 8 << 20
)

// CalendarError tells why the calendar of a rota cannot be used.
type CalendarError struct {
	Rota string
	File bool // it is a file, not a URL, which may be there again later
	Err  error
}

func (e *CalendarError) Error() string { return fmt.Sprintf("rota %q: %v", e.Rota, e.Err) }
func (e *CalendarError) Unwrap() error { return e.Err }

// Load reads the calendars of all rotas, and returns what failed. Each rota that
// failed keeps what it had.
func (r *Roster) Load(ctx context.Context) []*CalendarError {
	var errs []*CalendarError
	for _, d := range r.duties {
		if _, err := d.load(ctx, r.client); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// load reads the calendar of a rota, if it has one, and returns it where it is new.
func (d *duty) load(ctx context.Context, client *http.Client) (fresh []byte, failure *CalendarError) {
	if d.Turns.Start != "" {
		return nil, nil
	}
	data, etag, err := d.read(ctx, client)
	if err == nil && data != nil {
		err = d.use(data)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		return nil, &CalendarError{Rota: d.Name, File: d.Calendar != "", Err: err}
	}
	d.etag = etag
	return data, nil
}

// use takes a calendar as the rota.
func (d *duty) use(data []byte) error {
	c, err := rota.ParseCalendar(data, d.Zone)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rota = c
	return nil
}

// read reads the file, or asks for the URL. The data is nil where it has not changed.
func (d *duty) read(ctx context.Context, client *http.Client) (data []byte, etag string, err error) {
	if d.Calendar != "" {
		f, err := os.Open(d.Calendar)
		if err != nil {
			return nil, "", err
		}
		defer f.Close()
		data, err = readCalendar(f)
		return data, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, calendarTimeout)
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
	resp, err := client.Do(req)
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
	return nil, "", fmt.Errorf("the calendar cannot be read: its server answers %s", resp.Status)
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

// Marks reads marks. An outbox.Store does.
type Marks interface {
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
}

// calendarCopy is a calendar as the outbox keeps it.
type calendarCopy struct {
	Source string `json:"source"` // a hash of the file's name, or of the URL
	Text   string `json:"text"`
}

// source tells where the calendar is from, without telling the URL, which is a secret.
func (d *duty) source() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(d.Calendar+d.CalendarURL.Reveal())))
}

// UseCopies uses the last good copies that an outbox holds, for calendars that were
// not read yet.
func (r *Roster) UseCopies(ctx context.Context, store Marks) error {
	marks, err := store.Marks(ctx, calendarMark)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range marks {
		d := r.find(m.Name)
		if d == nil || d.known() {
			continue
		}
		var kept calendarCopy
		err := json.Unmarshal(m.Doc, &kept)
		if err == nil && kept.Source == d.source() {
			err = d.use([]byte(kept.Text))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the copy of rota %q: %w", m.Name, err))
		}
	}
	return errors.Join(errs...)
}

// known reports whether the rota was read.
func (d *duty) known() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rota != nil
}

// inherit takes over what another roster has read of the same calendars.
func (r *Roster) inherit(from *Roster) {
	for _, d := range r.duties {
		old := from.find(d.Name)
		if old == nil || old.Calendar != d.Calendar || old.CalendarURL != d.CalendarURL || old.Zone.String() != d.Zone.String() || d.known() {
			continue
		}
		old.mu.Lock()
		known, etag := old.rota, old.etag
		old.mu.Unlock()
		d.mu.Lock()
		d.rota, d.etag = known, etag
		d.mu.Unlock()
	}
}

// calendarMark is the kind of marks that keep calendars: the last good copy of
// each rota's, so that it is known although it cannot be read at the start.
const calendarMark = "calendar"

// runRotas reads the calendars of rotas, until the context ends.
func (o *OnCall) runRotas(ctx context.Context) {
	for ctx.Err() == nil {
		s := o.settings.Load()
		if err := s.roster.UseCopies(ctx, o.store); err != nil && ctx.Err() == nil {
			o.logger.Error("the copies of calendars cannot be used", "err", err)
		}
		reading, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		for _, d := range s.roster.duties {
			if d.Turns.Start == "" {
				all.Go(func() { o.runRota(reading, s.roster, d) })
			}
		}
		select {
		case <-ctx.Done():
		case <-o.rotasChanged:
		}
		stop()
		all.Wait()
	}
}

func (o *OnCall) runRota(ctx context.Context, r *Roster, d *duty) {
	for ctx.Err() == nil {
		fresh, err := d.load(ctx, r.client)
		switch {
		case err != nil && ctx.Err() == nil:
			o.logger.Error("a rota cannot be read; what was read last is used", "err", err)
		case err == nil:
			o.metrics.rotaRead.WithLabelValues(d.Name).SetToCurrentTime()
			if fresh != nil {
				o.keepCopy(ctx, d, fresh)
			}
		}
		sleep(ctx, d.Refresh)
	}
}

// keepCopy stores a calendar that was read, unless it is stored already.
func (o *OnCall) keepCopy(ctx context.Context, d *duty, data []byte) {
	err := retrying(ctx, func() error {
		marks, err := o.store.Marks(ctx, calendarMark)
		if err != nil {
			return err
		}
		mark := outbox.Mark{Kind: calendarMark, Name: d.Name}
		for _, m := range marks {
			if m.Name == d.Name {
				mark = m
			}
		}
		doc, err := json.Marshal(calendarCopy{Source: d.source(), Text: string(data)})
		if err != nil || string(doc) == string(mark.Doc) {
			return err
		}
		mark.At, mark.Doc = time.Now(), doc
		return o.add(ctx, outbox.Entry{Marks: []outbox.Mark{mark}})
	})
	if err != nil && ctx.Err() == nil {
		o.logger.Error("cannot keep a copy of a calendar", "rota", d.Name, "err", err)
	}
}
