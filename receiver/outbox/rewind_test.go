package outbox_test

import (
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

var rewound = time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)

func TestRewindAPage(t *testing.T) {
	now, then := rewound, rewound.Add(3*time.Hour)
	p := outbox.Page{
		OpenedAt: now.Add(-time.Hour), UpdatedAt: then, AcknowledgedAt: then, DueAt: then.Add(5 * time.Minute),
		Doc: []byte(`{"from":"2026-11-28T02:00:00Z","step_at":"2026-11-28T07:00:00+01:00","text":"at 2026-11-28T06:00:00Z","till":"2026-11-28T06:05:00.5Z","n":12345678901234567890}`),
	}
	if !p.Rewind(now) || p.Rewind(now) {
		t.Error("a page from the future must be rewound, and only once")
	}
	if !p.UpdatedAt.Equal(now) || !p.AcknowledgedAt.Equal(now) || !p.DueAt.Equal(now.Add(5*time.Minute)) || !p.OpenedAt.Equal(now.Add(-time.Hour)) {
		t.Errorf("the page is %+v", p)
	}
	want := `{"from":"2026-11-28T02:00:00Z","step_at":"2026-11-28T04:00:00+01:00","text":"at 2026-11-28T06:00:00Z","till":"2026-11-28T03:05:00.5Z","n":12345678901234567890}`
	if string(p.Doc) != want {
		t.Errorf("the document is\n%s, want\n%s", p.Doc, want)
	}
	p = outbox.Page{UpdatedAt: now.Add(30 * time.Second), DueAt: now.Add(time.Hour)}
	if p.Rewind(now) {
		t.Error("a page 30 s ahead is rewound, although clocks of replicas may differ that much")
	}
}

func TestRewindAMessage(t *testing.T) {
	now, then := rewound, rewound.Add(3*time.Hour)
	m := outbox.Message{CreatedAt: then, UpdatedAt: then, ExpiresAt: then.Add(time.Hour), AttemptedAt: then}
	if m.Rewind(now); !m.CreatedAt.Equal(now) || !m.ExpiresAt.Equal(now.Add(time.Hour)) || !m.AttemptedAt.Equal(now) || !m.AcceptedAt.IsZero() {
		t.Errorf("the message is %+v", m)
	}
	m = outbox.Message{CreatedAt: now.Add(-time.Minute), ExpiresAt: now.Add(time.Hour), AttemptedAt: then}
	if m.Rewind(now); !m.ExpiresAt.Equal(now.Add(time.Hour)) || !m.AttemptedAt.Equal(now) {
		t.Errorf("the message is %+v", m)
	}
}
