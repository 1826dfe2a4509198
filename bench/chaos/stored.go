package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// storing is how long a replica may take, once everything works, to store what it has sent without the
// database.
const storing = 3 * time.Second

// noteStored makes PostgreSQL record when each message was first stored, which its row does not show.
func (w *world) noteStored() error {
	for _, statement := range []string{
		`CREATE TABLE chaos_stored (id text PRIMARY KEY, at timestamptz NOT NULL)`,
		`CREATE FUNCTION chaos_stored() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN INSERT INTO chaos_stored VALUES (NEW.id, clock_timestamp()); RETURN NULL; END $$`,
		`CREATE TRIGGER chaos_stored AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION chaos_stored()`,
	} {
		if err := w.server.Exec(w.databaseURL, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// storedAt returns when a message was first stored, zero with SQLite. It fails if the message is not
// stored.
func (w *world) storedAt(id string) (at time.Time, err error) {
	if w.server == nil {
		return at, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.databaseURL)
	if err != nil {
		return at, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT at FROM chaos_stored WHERE id = $1`, id).Scan(&at)
	return at, err
}

// unaware reports whether the replica that sent the second message could not know that the first had
// been sent: another replica had sent that without the database, and could not store it yet.
func (w *world) unaware(first, second textinghousetest.SMS) bool {
	stored, err := w.storedAt(first.ClientID)
	return err == nil && stored.After(second.At) && w.calm.isFelt(second.At, second.At, storing, database, process)
}
