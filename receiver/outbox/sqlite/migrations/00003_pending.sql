-- +goose Up

-- What is open has a table without indexes. A message moves to the other one when it ends, and is
-- written there once. Its history is in its row: JSON, a list of {"at":…,"type":…,"detail":…}.

ALTER TABLE messages RENAME TO old_messages;

CREATE TABLE pending (
  id           TEXT    NOT NULL PRIMARY KEY, -- a ULID: sorts by creation
  recipient    TEXT    NOT NULL,
  receiver     TEXT    NOT NULL,
  group_key    TEXT    NOT NULL,
  headline     TEXT    NOT NULL,             -- what it is about, for digests
  severity     TEXT    NOT NULL,             -- of the most severe alert that fires
  urgent       INTEGER NOT NULL,             -- 1: limits do not hold it back
  page_id      TEXT    NOT NULL,             -- the page that it is about, "" for none
  text         TEXT    NOT NULL,
  encoding     TEXT    NOT NULL,
  segments     INTEGER NOT NULL,
  state        TEXT    NOT NULL,
  status       INTEGER NOT NULL,             -- one more than the provider's latest code, 0 before the first
  api_id       TEXT    NOT NULL,
  outdated_by  TEXT    NOT NULL,             -- the newer message of its group that was sent past it
  attempts     INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  not_before   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  attempted_at INTEGER NOT NULL,
  accepted_at  INTEGER NOT NULL,
  events       TEXT    NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE messages (
  id           TEXT    NOT NULL PRIMARY KEY,
  recipient    TEXT    NOT NULL,
  receiver     TEXT    NOT NULL,
  group_key    TEXT    NOT NULL,
  headline     TEXT    NOT NULL,
  severity     TEXT    NOT NULL,
  urgent       INTEGER NOT NULL,
  page_id      TEXT    NOT NULL,
  text         TEXT    NOT NULL,
  encoding     TEXT    NOT NULL,
  segments     INTEGER NOT NULL,
  state        TEXT    NOT NULL,
  status       INTEGER NOT NULL,
  api_id       TEXT    NOT NULL,
  outdated_by  TEXT    NOT NULL,
  attempts     INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  not_before   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  attempted_at INTEGER NOT NULL,
  accepted_at  INTEGER NOT NULL,
  events       TEXT    NOT NULL
) WITHOUT ROWID, STRICT;

INSERT INTO pending
SELECT *, (SELECT json_group_array(json_object('at', at, 'type', type, 'detail', detail))
           FROM (SELECT * FROM events WHERE message_id = id ORDER BY n))
FROM old_messages WHERE state IN ('queued', 'sending', 'accepted');

INSERT INTO messages
SELECT *, (SELECT json_group_array(json_object('at', at, 'type', type, 'detail', detail))
           FROM (SELECT * FROM events WHERE message_id = id ORDER BY n))
FROM old_messages WHERE state NOT IN ('queued', 'sending', 'accepted');

DROP TABLE old_messages;
DROP TABLE events;

CREATE INDEX messages_recipient ON messages (recipient, id);
CREATE INDEX messages_receiver  ON messages (receiver, id);
CREATE INDEX messages_page      ON messages (page_id, id) WHERE page_id <> '';
CREATE INDEX messages_rare      ON messages (state, id)   WHERE state <> 'delivered';

-- The latest state of a key is the one with the greatest n.
DROP TABLE notifications;

CREATE TABLE sightings (
  n           INTEGER PRIMARY KEY, -- rises
  key         BLOB    NOT NULL,    -- of a group of alerts, or of a reply
  state       BLOB    NOT NULL,
  seen_at     INTEGER NOT NULL,    -- when it was first seen
  sources     TEXT    NOT NULL,    -- who sent it, separated by spaces
  before      BLOB    NOT NULL,    -- the state before it
  earlier     TEXT    NOT NULL,    -- who sent that
  message_ids TEXT    NOT NULL     -- separated by spaces
) STRICT;
