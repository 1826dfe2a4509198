package sqlite_test

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/outboxtest"
)

var torn = flag.Int("torn", 100, "power cuts of TestPowerCut")

const (
	journalHeader = 32
	frameHeader   = 24
	frame         = frameHeader + 4096
)

// written returns the part of a journal that was written since its last restart: frames with the
// header's salt (SQLite's file format, 4.1).
func written(journal []byte) []byte {
	end := journalHeader
	for end+frame <= len(journal) && bytes.Equal(journal[end+8:end+16], journal[16:24]) {
		end += frame
	}
	return journal[:end]
}

// TestPowerCut copies the files in the states that a power cut may leave: with everything that was
// acknowledged, and a journal that ends in random bytes anywhere after that. The next start must
// find everything that was acknowledged, in its latest state.
func TestPowerCut(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "outbox.db")
	s := open(t, path)
	random := rand.New(rand.NewPCG(1, 2))
	ended := make(map[string]bool) // the acknowledged messages, and whether they have ended
	second := 0
	step := func() {
		m := outboxtest.NewMessage(second, "999")
		second++
		e := outbox.Entry{Messages: []outbox.Message{m}}
		for id, is := range ended { // some earlier messages end
			if !is && random.IntN(3) == 0 {
				at := m.CreatedAt
				e.Notes = append(e.Notes, outbox.Attempted(id, at, ""), outbox.ProviderAccepted(id, "api", at, ""), outbox.Ended(id, "api", at, 4, true, ""))
			}
		}
		if _, err := s.Add(ctx, e); err != nil {
			t.Fatal(err)
		}
		ended[m.ID] = false
		for _, c := range e.Notes {
			ended[c.ID] = true
		}
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for round := 0; round < *torn; round++ {
		for range 1 + random.IntN(20) {
			step()
		}
		acknowledged := make(map[string]bool)
		for id, is := range ended {
			acknowledged[id] = is
		}
		journal := written(read(path + "-wal"))
		for range random.IntN(3) {
			step()
		}
		file, later := read(path), written(read(path+"-wal"))
		if !bytes.Equal(journal[:journalHeader], later[:journalHeader]) {
			continue // the journal was restarted meanwhile
		}
		later = later[:len(journal)+random.IntN(len(later)-len(journal)+1)]
		for range random.IntN(5000) {
			later = append(later, byte(random.Uint32()))
		}
		copied := filepath.Join(dir, "copy", "outbox.db")
		for name, content := range map[string][]byte{copied: file, copied + "-wal": later} {
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		after := open(t, copied)
		for id, is := range acknowledged {
			m, err := after.Get(ctx, id)
			if err != nil || is && m.State != outbox.Delivered || len(m.Events) == 0 {
				t.Fatalf("round %d: message %s, acknowledged, ended: %t: is %s, %v", round, id, is, m.State, err)
			}
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Dir(copied)); err != nil {
			t.Fatal(err)
		}
	}
}
