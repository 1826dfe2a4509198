package spool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

func (f *fake) unreadable() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readErr
}

func (f *fake) Page(ctx context.Context, id string) (outbox.Page, error) {
	if err := f.unreadable(); err != nil {
		return outbox.Page{}, err
	}
	return f.Store.Page(ctx, id)
}

func (f *fake) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	f.mu.Lock()
	f.pageReads++
	f.mu.Unlock()
	if err := f.unreadable(); err != nil {
		return nil, err
	}
	return f.Store.Pages(ctx, q)
}

func (f *fake) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	if err := f.unreadable(); err != nil {
		return nil, err
	}
	return f.Store.Marks(ctx, kind)
}

// opened returns a new page.
func opened(id, group, code string) *outbox.Page {
	now := time.Now()
	return &outbox.Page{
		ID: id, Receiver: "oncall", GroupKey: group, Code: code, State: outbox.PageOpen, OpenedAt: now, UpdatedAt: now, DueAt: now.Add(time.Minute),
		Doc: json.RawMessage("{}"), Events: []outbox.PageEvent{{At: now, Type: outbox.PageEventOpened}},
	}
}

// note adds an event to a page that it reads, and increments a mark.
func note(s *spool.Spool, id, detail string) (builds int, err error) {
	_, err = s.Commit(context.Background(), spool.Later, func(ctx context.Context) (*outbox.Entry, error) {
		builds++
		p, err := s.Page(ctx, id)
		if err != nil {
			return nil, err
		}
		p.Events = []outbox.PageEvent{{At: time.Now(), Type: outbox.PageEventNotified, Detail: detail}}
		p.DueAt = time.Now().Add(time.Hour)
		m := outbox.Mark{Kind: "count", Name: "n"}
		ms, err := s.Marks(ctx, "count")
		if err != nil {
			return nil, err
		}
		if len(ms) > 0 {
			m = ms[0]
		}
		m.Doc = json.RawMessage(fmt.Sprintf(`{"n":%d}`, m.Version+1))
		return &outbox.Entry{Page: &p, Marks: []outbox.Mark{m}}, nil
	})
	return builds, err
}

func details(p outbox.Page) (all string) {
	for _, e := range p.Events {
		all += e.Detail
	}
	return all
}

// TestShelf: while the store can be neither written nor read, pages and marks still change, each
// change builds on the one before, and all are stored later as they were made.
func TestShelf(t *testing.T) {
	in(t, spool.Options{}, func(f *fake, s *spool.Spool) {
		time.Sleep(time.Second) // the shelf learns that there are no pages
		if _, err := commit(s, spool.Strict, outbox.Entry{Page: opened("p", "g", "1234")}); err != nil {
			t.Fatal(err)
		}
		if _, err := note(s, "p", "a"); err != nil {
			t.Fatal(err)
		}
		f.fail(errFault, errFault)
		done := make(chan error, 8)
		for range cap(done) { // each must see the others' changes
			go func() {
				_, err := note(s, "p", "b")
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if p, err := s.Page(context.Background(), "p"); err != nil || p.Version != 10 || details(p) != "bbbbbbbb" {
			t.Errorf("the page is read as version %d with %q, %v", p.Version, details(p), err)
		}
		for name, q := range map[string]outbox.PageQuery{
			"its group": {Receiver: "oncall", GroupKey: "g", Current: true}, "its code": {Code: "1234"}, "due": {DueBy: time.Now().Add(2 * time.Hour)},
		} {
			q.Limit = 5
			if ps, err := s.Pages(context.Background(), q); err != nil || len(ps) != 1 || ps[0].Version != 10 {
				t.Errorf("the pages by %s are %+v, %v", name, ps, err)
			}
		}
		if ps, err := s.Pages(context.Background(), outbox.PageQuery{DueBy: time.Now().Add(10 * time.Minute), Limit: 5}); err != nil || len(ps) != 0 {
			t.Errorf("the pages that are due soon are %+v, %v", ps, err)
		}
		if _, err := commit(s, spool.Later, outbox.Entry{Page: opened("q", "g", "5678")}); !errors.Is(err, outbox.ErrConflict) {
			t.Errorf("a second page of the group gives %v", err)
		}
		if _, err := commit(s, spool.Strict, outbox.Entry{Page: opened("q", "h", "5678")}); err == nil {
			t.Error("a strict commit does not fail")
		}
		f.fail(nil, nil)
		time.Sleep(2 * time.Second)
		p, err := f.Store.Page(context.Background(), "p")
		if err != nil || p.Version != 10 || details(p) != "abbbbbbbb" {
			t.Errorf("the page is stored as version %d with %q, %v", p.Version, details(p), err)
		}
		if ms, err := f.Store.Marks(context.Background(), "count"); err != nil || len(ms) != 1 || string(ms[0].Doc) != `{"n":9}` {
			t.Errorf("the marks are %+v, %v", ms, err)
		}
		if n, _ := s.Backlog(); n != 0 {
			t.Errorf("%d entries and changes are left", n)
		}
	})
}

// TestMerge: a page that was built without reading the stored one is merged into it, and so are
// its messages.
func TestMerge(t *testing.T) {
	merge := func(_ context.Context, base *outbox.Page, made outbox.Page, codeTaken bool) (*outbox.Page, error) {
		switch {
		case base == nil && codeTaken:
			made.Code = "9999"
			return &made, nil
		case base == nil:
			return nil, nil
		}
		base.Events, base.State = made.Events, made.State
		return base, nil
	}
	for name, tc := range map[string]struct {
		made  *outbox.Page
		id    string // of the page that its message belongs to
		state outbox.PageState
		code  string
	}{
		"an update of its group":       {made: opened("q", "g", "5678"), id: "p", state: outbox.PageOpen, code: "1234"},
		"the end of its group":         {made: func() *outbox.Page { p := opened("q", "g", ""); p.State = outbox.PageResolved; return p }(), id: "p", state: outbox.PageResolved, code: "1234"},
		"another group, the same code": {made: opened("q", "h", "1234"), id: "q", state: outbox.PageOpen, code: "9999"},
		"the end of an unknown page":   {made: func() *outbox.Page { p := opened("q", "i", ""); p.State = outbox.PageResolved; return p }()},
		"another group and code":       {made: opened("q", "j", "4321"), id: "q", state: outbox.PageOpen, code: "4321"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, spool.Options{Merge: merge}, func(f *fake, s *spool.Spool) {
				f.fail(errFault, errFault)
				m := message(outbox.NewIDs(), tc.made.GroupKey)
				m.PageID = tc.made.ID
				if _, err := commit(s, spool.Later, outbox.Entry{Page: tc.made, Messages: []outbox.Message{m}}); err != nil {
					t.Fatal(err)
				}
				if _, err := f.Store.Add(context.Background(), outbox.Entry{Page: opened("p", "g", "1234")}); err != nil {
					t.Fatal(err)
				}
				f.fail(nil, nil)
				time.Sleep(3 * time.Second)
				got, err := f.Store.Get(context.Background(), m.ID)
				if err != nil || got.PageID != tc.id {
					t.Fatalf("the message belongs to page %q, %v; want %q", got.PageID, err, tc.id)
				}
				if tc.id == "" {
					return
				}
				if p, err := f.Store.Page(context.Background(), tc.id); err != nil || p.State != tc.state || p.Code != tc.code {
					t.Errorf("the page is %+v, %v", p, err)
				}
			})
		})
	}
}
