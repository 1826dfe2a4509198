package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"
)

// reopenGap is how often a store that could not be opened is tried again.
const reopenGap = 2 * time.Second

// Guard is a Store around one that may not be there yet, or may fail: while it
// cannot be opened everything fails with the reason, and it is tried again.
type Guard struct {
	stop   context.CancelFunc
	done   chan struct{}
	opened chan struct{} // closed when store is set

	mu      sync.RWMutex
	store   Store
	err     error // why it is not open
	failure error // of the last write, nil where it did not fail
}

var _ Shared = (*Guard)(nil)

// NewGuard opens a store. A failure, which may pass, is logged and tried again
// until the store is there; an error that is ErrInUse is returned.
func NewGuard(open func(context.Context) (Store, error), logger *slog.Logger) (*Guard, error) {
	ctx, cancel := context.WithCancel(context.Background())
	g := &Guard{stop: cancel, done: make(chan struct{}), opened: make(chan struct{})}
	if g.store, g.err = open(ctx); g.err == nil {
		close(g.opened)
		close(g.done)
		return g, nil
	}
	if errors.Is(g.err, ErrInUse) {
		cancel()
		return nil, g.err
	}
	logger.Error("the outbox cannot be opened; until it can, pages are sent without a record, which is made later", "err", g.err)
	go func() {
		defer close(g.done)
		ticker := time.NewTicker(reopenGap)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			store, err := open(ctx)
			g.mu.Lock()
			g.store, g.err = store, err
			g.mu.Unlock()
			if err == nil {
				close(g.opened)
				logger.Info("the outbox is open")
				return
			}
		}
	}()
	return g, nil
}

// Trouble says why the store cannot be written, nil while it can.
func (g *Guard) Trouble() error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return cmp.Or(g.err, g.failure)
}

func (g *Guard) get() (Store, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.err != nil {
		return nil, fmt.Errorf("the outbox is not open: %w", g.err)
	}
	return g.store, nil
}

// wrote remembers whether a write failed. One that was not begun tells nothing.
func (g *Guard) wrote(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failure = err
}

// Add implements Store.
func (g *Guard) Add(ctx context.Context, e Entry) (Added, error) {
	s, err := g.get()
	if err != nil {
		return Added{}, err
	}
	added, err := s.Add(ctx, e)
	if !errors.Is(err, ErrConflict) {
		g.wrote(ctx, err)
	}
	return added, err
}

// Apply implements Store.
func (g *Guard) Apply(ctx context.Context, c Change) (Message, bool, error) {
	s, err := g.get()
	if err != nil {
		return Message{}, false, err
	}
	m, applied, err := s.Apply(ctx, c)
	g.wrote(ctx, err)
	return m, applied, err
}

// Fold implements Store.
func (g *Guard) Fold(ctx context.Context, digest Message, ids []string) ([]Message, error) {
	s, err := g.get()
	if err != nil {
		return nil, err
	}
	folded, err := s.Fold(ctx, digest, ids)
	g.wrote(ctx, err)
	return folded, err
}

// Open implements Store.
func (g *Guard) Open(ctx context.Context) iter.Seq2[Message, error] {
	s, err := g.get()
	if err != nil {
		return func(yield func(Message, error) bool) { yield(Message{}, err) }
	}
	return s.Open(ctx)
}

// Get implements Store.
func (g *Guard) Get(ctx context.Context, id string) (Message, error) {
	s, err := g.get()
	if err != nil {
		return Message{}, err
	}
	return s.Get(ctx, id)
}

// FindAPIID implements Store.
func (g *Guard) FindAPIID(ctx context.Context, apiID string) (string, error) {
	s, err := g.get()
	if err != nil {
		return "", err
	}
	return s.FindAPIID(ctx, apiID)
}

// List implements Store.
func (g *Guard) List(ctx context.Context, q Query) ([]Message, error) {
	s, err := g.get()
	if err != nil {
		return nil, err
	}
	return s.List(ctx, q)
}

// Segments implements Store.
func (g *Guard) Segments(ctx context.Context, since time.Time) (int, error) {
	s, err := g.get()
	if err != nil {
		return 0, err
	}
	return s.Segments(ctx, since)
}

// Page implements Store.
func (g *Guard) Page(ctx context.Context, id string) (Page, error) {
	s, err := g.get()
	if err != nil {
		return Page{}, err
	}
	return s.Page(ctx, id)
}

// Pages implements Store.
func (g *Guard) Pages(ctx context.Context, q PageQuery) ([]Page, error) {
	s, err := g.get()
	if err != nil {
		return nil, err
	}
	return s.Pages(ctx, q)
}

// CountPages implements Store.
func (g *Guard) CountPages(ctx context.Context) (map[PageState]int, error) {
	s, err := g.get()
	if err != nil {
		return nil, err
	}
	return s.CountPages(ctx)
}

// Marks implements Store.
func (g *Guard) Marks(ctx context.Context, kind string) ([]Mark, error) {
	s, err := g.get()
	if err != nil {
		return nil, err
	}
	return s.Marks(ctx, kind)
}

// Prune implements Store.
func (g *Guard) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	s, err := g.get()
	if err != nil {
		return 0, err
	}
	return s.Prune(ctx, before, limit)
}

// Lead waits until the store is open, and then as Shared's does. A store that is
// not shared has a lease for ever.
func (g *Guard) Lead(ctx context.Context) (context.Context, func(), error) {
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-g.opened:
	}
	if s, ok := g.store.(Shared); ok {
		return s.Lead(ctx)
	}
	return ctx, func() {}, nil
}

// Listen is Shared's. A store that is not shared has nothing to tell.
func (g *Guard) Listen(ctx context.Context, ready func(), told func(Hint)) error {
	if s, ok := g.store.(Shared); ok {
		return s.Listen(ctx, ready, told)
	}
	<-ctx.Done()
	return ctx.Err()
}

// Close ends the tries, and closes the store where it is open.
func (g *Guard) Close() error {
	g.stop()
	<-g.done
	s, err := g.get()
	if err != nil {
		return nil // it was never open
	}
	return s.Close()
}

// ErrInUse is returned by Open of a store that another process has.
var ErrInUse = errors.New("in use by another smspager")
