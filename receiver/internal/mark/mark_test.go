package mark_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/outbox"
)

type beat struct {
	LastAt time.Time `json:"last_at"`
}

const beats mark.Kind[beat] = "beat"

type marks struct {
	all []outbox.Mark
	err error
}

func (m marks) Marks(_ context.Context, kind string) ([]outbox.Mark, error) {
	if kind != "beat" {
		return nil, errors.New(kind)
	}
	return m.all, m.err
}

func TestKind(t *testing.T) {
	at := time.Date(2026, 11, 28, 5, 0, 0, 0, time.UTC)
	fresh, err := beats.Find(t.Context(), marks{}, "watchdog")
	if err != nil || fresh.Name != "watchdog" || fresh.Version != 0 {
		t.Fatalf("a mark that is not stored is %+v, %v", fresh, err)
	}
	fresh.Value.LastAt = at
	stored := beats.Set(fresh, at)
	stored.Version = 3 // as the store assigns it
	got, err := beats.Find(t.Context(), marks{all: []outbox.Mark{stored}}, "watchdog")
	if err != nil || !got.Value.LastAt.Equal(at) || !got.At.Equal(at) || got.Version != 3 {
		t.Errorf("the mark is read as %+v, %v", got, err)
	}
	if d := beats.Delete(got); d.Kind != "beat" || d.Name != "watchdog" || d.Version != 3 || d.Doc != nil {
		t.Errorf("the deletion is %+v", d)
	}
}

// TestUnreadable: an unreadable mark does not hide the others.
func TestUnreadable(t *testing.T) {
	broken := outbox.Mark{Kind: "beat", Name: "broken", Version: 1, Doc: []byte("{")}
	good := beats.Set(mark.Mark[beat]{Name: "good", Version: 1}, time.Time{})
	all, err := beats.All(t.Context(), marks{all: []outbox.Mark{broken, good}})
	if len(all) != 1 || all[0].Name != "good" || err == nil || !strings.Contains(err.Error(), `read beat "broken"`) {
		t.Errorf("the readable marks are %+v, %v", all, err)
	}
	both := marks{all: []outbox.Mark{broken, good}}
	if got, err := beats.Find(t.Context(), both, "good"); err != nil || got.Version != 1 {
		t.Errorf("with an unreadable mark, the good one is %+v, %v", got, err)
	}
	if _, err := beats.Find(t.Context(), both, "broken"); err == nil {
		t.Error("an unreadable mark is found")
	}
	away := errors.New("away")
	if all, err := beats.All(t.Context(), marks{err: away}); all != nil || !errors.Is(err, away) {
		t.Errorf("without a store, the marks are %+v, %v", all, err)
	}
}
