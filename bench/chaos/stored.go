package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// storing is how long it may take, once everything works, until a replica has stored what it has
// sent without the database.
const storing = 3 * time.Second

// noteStored has PostgreSQL note when each message was stored first, which its row does not tell.
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

// storedAt is when a message was stored first; zero: it is not, or the database does not tell.
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

// unheard reports whether nobody who sent an older message could have heard of a newer one that was
// sent before it: a replica had sent that without the database, and could not store it yet.
func (w *world) unheard(newer, older textinghousetest.SMS) bool {
	stored, err := w.storedAt(newer.ClientID)
	return err == nil && stored.After(older.At) && w.calm.isFelt(older.At, storing, database, process)
}
