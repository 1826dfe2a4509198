package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/postgrestest"
	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/outboxtest"
	"github.com/smspager/smspager/receiver/outbox/postgres"
)

// TestPoolers: Open refuses a PgBouncer that shares sessions between transactions, whatever the
// protocol, and accepts any other.
func TestPoolers(t *testing.T) {
	for name, tc := range map[string]struct {
		mode     string
		settings []string
		refused  bool
	}{
		"session":                 {"session", nil, false},
		"transaction":             {"transaction", nil, true},
		"transaction, in turns":   {"transaction", []string{"server_round_robin = 1", "min_pool_size = 5"}, true},
		"transaction, one server": {"transaction", []string{"default_pool_size = 1"}, true},
		"statement":               {"statement", nil, true},
	} {
		for _, protocol := range []string{"", "?default_query_exec_mode=simple_protocol", "?default_query_exec_mode=exec"} {
			t.Run(name+protocol, func(t *testing.T) {
				url, stop, err := server.Pooler(database(t), tc.mode, tc.settings...)
				if errors.Is(err, postgrestest.ErrNoPooler) {
					realpart.Missing(t, err)
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := stop(); err != nil {
						t.Error(err)
					}
				})
				s, err := postgres.Open(context.Background(), url+protocol)
				if tc.refused {
					if !errors.Is(err, outbox.ErrUnusable) || !strings.Contains(err.Error(), "pool_mode = session") {
						t.Fatalf("Open gives %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				m := outboxtest.NewMessage(0, "999")
				if _, err := s.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
