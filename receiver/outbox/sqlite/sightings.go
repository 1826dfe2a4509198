package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// maxSightings is how many sightings are kept, in memory and in the table. A notification that is
// repeated after this many others is sent again.
const maxSightings = 20_000

// insertSighting appends: in a table by key, each notification would write a disk page of its own.
const insertSighting = `
INSERT INTO sightings (key, state, seen_at, sources, before, earlier, message_ids) VALUES (?, ?, ?, ?, ?, ?, ?)`

const selectSightings = `
SELECT key, state, seen_at, sources, before, earlier, message_ids FROM (SELECT * FROM sightings ORDER BY n DESC LIMIT ?) ORDER BY n`

const pruneSightings = `DELETE FROM sightings WHERE n <= (SELECT MAX(n) FROM sightings) - ?`

// sightings holds the latest sighting of each key. Only the goroutine that writes uses it.
type sightings struct {
	latest *simplelru.LRU[outbox.Key, outbox.Sighting]
	fresh  map[outbox.Key]outbox.Sighting // of the current transaction
}

func (s *sightings) read(ctx context.Context, conn *sql.Conn) (err error) {
	s.fresh = make(map[outbox.Key]outbox.Sighting)
	if s.latest, err = simplelru.NewLRU[outbox.Key, outbox.Sighting](maxSightings, nil); err != nil {
		return err
	}
	defer func() {
		if isDamage(err) { // a forgotten sighting costs a second text at most
			err = nil
		}
	}()
	rows, err := conn.QueryContext(ctx, selectSightings, maxSightings)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key, state, before []byte
		var seen int64
		var sources, earlier, ids string
		if err := rows.Scan(&key, &state, &seen, &sources, &before, &earlier, &ids); err != nil {
			return err
		}
		s.latest.Add(keyOf(key), outbox.Sighting{
			State: keyOf(state), Before: keyOf(before), SeenAt: table.Time(seen),
			Sources: strings.Fields(sources), Earlier: strings.Fields(earlier), IDs: strings.Fields(ids),
		})
	}
	return rows.Err()
}

func keyOf(column []byte) (key outbox.Key) {
	copy(key[:], column)
	return key
}

// end keeps the sightings of the transaction if it was committed, and drops them otherwise.
func (s *sightings) end(committed bool) {
	if committed {
		for key, sighting := range s.fresh {
			s.latest.Add(key, sighting)
		}
	}
	clear(s.fresh)
}

// sight records the state that an entry brings. If the entry is a duplicate, it returns the
// sighting that it repeats.
func (st *statements) sight(ctx context.Context, e *outbox.Entry) (original *outbox.Sighting, err error) {
	latest, known := st.sightings.fresh[e.Key]
	if !known {
		latest, known = st.sightings.latest.Get(e.Key)
	}
	switch {
	case !known || !latest.Repeats(e):
		return nil, st.noteSighting(ctx, e.Key, latest.Next(e))
	case latest.Join(e):
		err = st.noteSighting(ctx, e.Key, latest)
	}
	return &latest, err
}

func (st *statements) noteSighting(ctx context.Context, key outbox.Key, s outbox.Sighting) error {
	st.sightings.fresh[key] = s
	_, err := st.insertSighting.exec(ctx, key[:], s.State[:], table.Millis(s.SeenAt), table.Words(s.Sources), s.Before[:], table.Words(s.Earlier), table.Words(s.IDs))
	return err
}
