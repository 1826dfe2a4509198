package spool

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// shelf holds the pages and marks whose latest state is not stored. If no other process
// uses the store, it also remembers the stored states, for when the store cannot be read.
type shelf struct {
	shared bool

	mu       sync.Mutex
	held     map[string]*heldPage
	marks    map[markName]*heldMark
	pages    map[string]outbox.Page   // current pages as they are stored; empty if shared
	complete bool                     // pages has all current pages
	kinds    map[string][]outbox.Mark // stored marks of each kind that was read; empty if shared
}

// heldPage is a page as it will be stored, with its events that are not stored, and the number
// of unstored entries that change it.
type heldPage struct {
	outbox.Page
	entries int
}

// heldMark is a mark as it will be stored, and the number of unstored entries that change it.
type heldMark struct {
	outbox.Mark
	entries int
}

type markName struct{ kind, name string }

func newShelf(shared bool) *shelf {
	return &shelf{
		shared: shared, held: make(map[string]*heldPage), marks: make(map[markName]*heldMark),
		pages: make(map[string]outbox.Page), kinds: make(map[string][]outbox.Mark),
	}
}

// hold adds the pages and marks of an entry that is not stored. It returns outbox.ErrConflict if
// the entry was not built from their latest states.
func (s *shelf) hold(e *outbox.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range e.AllPages() {
		if !s.fitsPage(p) {
			return outbox.ErrConflict
		}
	}
	for _, m := range e.Marks {
		if h := s.marks[markName{m.Kind, m.Name}]; h != nil && h.Version != m.Version {
			return outbox.ErrConflict
		}
	}
	for _, p := range e.AllPages() {
		h := s.held[p.ID]
		if h == nil {
			h = &heldPage{}
			s.held[p.ID] = h
		}
		events := append(h.Events, p.Events...)
		h.Page = asStored(*p)
		h.Events = events
		h.entries++
	}
	for _, m := range e.Marks {
		name := markName{m.Kind, m.Name}
		h := s.marks[name]
		if h == nil {
			h = &heldMark{}
			s.marks[name] = h
		}
		h.Mark = markAsStored(m)
		h.entries++
	}
	return nil
}

func (s *shelf) fitsPage(p *outbox.Page) bool {
	if h := s.held[p.ID]; h != nil {
		return h.Version == p.Version
	}
	if p.Version > 0 || !p.State.Current() {
		return true
	}
	for _, h := range s.held {
		if h.State.Current() && (h.Code == p.Code || h.Receiver == p.Receiver && h.GroupKey == p.GroupKey) {
			return false
		}
	}
	return true
}

// release drops the pages and marks of an entry that was held, unless another entry changes them.
func (s *shelf) release(e *outbox.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range e.AllPages() {
		h := s.held[p.ID]
		h.Events = h.Events[len(p.Events):]
		if h.entries--; h.entries == 0 {
			delete(s.held, p.ID)
		}
	}
	for _, m := range e.Marks {
		name := markName{m.Kind, m.Name}
		if s.marks[name].entries--; s.marks[name].entries == 0 {
			delete(s.marks, name)
		}
	}
}

// stored remembers the pages and marks of an entry that is now stored.
func (s *shelf) stored(e *outbox.Entry) {
	if s.shared {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range e.AllPages() {
		s.learn(asStored(*p))
	}
	for _, m := range e.Marks {
		if all, read := s.kinds[m.Kind]; read {
			s.kinds[m.Kind] = withMark(all, markAsStored(m))
		}
	}
}

// learn remembers a page as it is stored.
func (s *shelf) learn(p outbox.Page) {
	p.Events = nil
	if p.State.Current() {
		s.pages[p.ID] = p
	} else {
		delete(s.pages, p.ID)
	}
}

// readPages remembers pages that were read from the store. complete: no other page is current.
func (s *shelf) readPages(ps []outbox.Page, complete bool) {
	if s.shared {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range ps {
		if known, ok := s.pages[p.ID]; !ok || known.Version <= p.Version {
			s.learn(p)
		}
	}
	s.complete = s.complete || complete
}

// readCurrent is readPages for the current pages. It reads nothing if the shelf knows them all: it has
// their latest states.
func (s *shelf) readCurrent(ps []outbox.Page, all bool) {
	s.mu.Lock()
	known := s.complete
	s.mu.Unlock()
	if !known {
		s.readPages(ps, all)
	}
}

// page returns the latest state of a page with its events. stored is the page that was read, nil
// if it could not be read: then page uses the state that was stored last. It returns false if the
// shelf does not know the page.
func (s *shelf) page(id string, stored *outbox.Page) (outbox.Page, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.held[id]; h != nil {
		p := h.Page
		p.Events = slices.Clone(h.Events)
		if stored != nil {
			p.Events = append(slices.Clone(stored.Events), h.Events...)
		}
		return p, true
	}
	if stored != nil {
		return *stored, true
	}
	p, ok := s.pages[id]
	return p, ok
}

// list returns the pages that a query selects, in their latest states. stored are the pages that
// were read; if read is false, list uses the states that were stored last, and returns false if
// the shelf does not know them.
func (s *shelf) list(q outbox.PageQuery, stored []outbox.Page, read bool) ([]outbox.Page, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []outbox.Page
	add := func(p outbox.Page) {
		p.Events = nil
		if selects(&q, &p) {
			all = append(all, p)
		}
	}
	if !read {
		for _, p := range s.pages {
			stored = append(stored, p)
		}
	}
	for _, p := range stored {
		if s.held[p.ID] == nil {
			add(p)
		}
	}
	for _, h := range s.held {
		add(h.Page)
	}
	slices.SortFunc(all, func(a, b outbox.Page) int {
		if c := a.DueAt.Compare(b.DueAt); c != 0 && !q.DueBy.IsZero() {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return all[:min(len(all), q.Limit)], read || s.complete || len(all) > 0
}

// selects reports whether a query selects a page.
func selects(q *outbox.PageQuery, p *outbox.Page) bool {
	return (q.State == "" || p.State == q.State) && (!q.Current || p.State.Current()) &&
		(q.Receiver == "" || p.Receiver == q.Receiver) && (q.GroupKey == "" || p.GroupKey == q.GroupKey) &&
		(len(q.Alerts) == 0 || slices.ContainsFunc(q.Alerts, func(key string) bool { return slices.Contains(p.AlertKeys, key) })) &&
		(q.Code == "" || p.Code == q.Code) && (q.Before == "" || p.ID < q.Before) &&
		(q.DueBy.IsZero() || !p.DueAt.IsZero() && !p.DueAt.After(q.DueBy))
}

// listMarks is list for the marks of a kind.
func (s *shelf) listMarks(kind string, stored []outbox.Mark, read bool) ([]outbox.Mark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := true
	switch {
	case !read:
		stored, known = s.kinds[kind]
		stored = slices.Clone(stored)
	case !s.shared && kind != outbox.MarkReply: // there may be very many replies
		s.kinds[kind] = slices.Clone(stored)
	}
	for name, h := range s.marks {
		if name.kind == kind {
			stored, known = withMark(stored, h.Mark), true
		}
	}
	return stored, known
}

// withMark inserts or replaces a mark in a list sorted by name, or removes it if it is deleted.
func withMark(all []outbox.Mark, m outbox.Mark) []outbox.Mark {
	i, found := slices.BinarySearchFunc(all, m, func(a, b outbox.Mark) int { return strings.Compare(a.Name, b.Name) })
	switch {
	case found && m.Doc == nil:
		return slices.Delete(all, i, i+1)
	case found:
		all[i] = m
		return all
	case m.Doc == nil:
		return all
	}
	return slices.Insert(all, i, m)
}

// asStored returns a page of an entry as it will be once the entry is stored.
func asStored(p outbox.Page) outbox.Page {
	p.Version++
	return p
}

// markAsStored returns a mark of an entry as it will be once the entry is stored.
func markAsStored(m outbox.Mark) outbox.Mark {
	if m.Version++; m.Doc == nil {
		m.Version = 0
	}
	return m
}

// holds returns how many pages are held.
func (s *shelf) holds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// keeps reports whether a page or mark of an entry is held.
func (s *shelf) keeps(e *outbox.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(e.AllPages(), func(p *outbox.Page) bool { return s.held[p.ID] != nil }) ||
		slices.ContainsFunc(e.Marks, func(m outbox.Mark) bool { return s.marks[markName{m.Kind, m.Name}] != nil })
}

// rewind makes pages and marks with times in the future count as written now. It returns the pages
// that it changed.
func (s *shelf) rewind(now time.Time) (changed []*outbox.Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if h.Page.Rewind(now) {
			p := h.Page
			changed = append(changed, &p)
		}
	}
	for _, h := range s.marks {
		h.Mark.Rewind(now)
	}
	for id, p := range s.pages {
		if p.Rewind(now) {
			s.pages[id] = p
			changed = append(changed, &p)
		}
	}
	for _, ms := range s.kinds {
		for i := range ms {
			ms[i].Rewind(now)
		}
	}
	return changed
}

// codes returns the codes of the current pages that the shelf knows, at most 50.
func (s *shelf) codes() []string {
	const most = 50
	all, _ := s.list(outbox.PageQuery{Current: true, Limit: most}, nil, false)
	var codes []string
	for _, p := range all {
		codes = append(codes, p.Code)
	}
	return codes
}
