-- +goose Up

-- Times are milliseconds since 1970 in UTC, 0 where there is none.

CREATE TABLE notifications (
  key         BLOB    NOT NULL PRIMARY KEY, -- what makes a notification the same one
  seen_at     INTEGER NOT NULL,             -- when it was first seen in its window
  message_ids TEXT    NOT NULL              -- separated by spaces
) WITHOUT ROWID, STRICT;

CREATE INDEX notifications_seen_at ON notifications (seen_at);

CREATE TABLE messages (
  id           TEXT    NOT NULL PRIMARY KEY, -- a ULID: sorts by creation
  recipient    TEXT    NOT NULL,
  receiver     TEXT    NOT NULL,
  group_key    TEXT    NOT NULL,
  headline     TEXT    NOT NULL,             -- what it is about, for digests
  urgent       INTEGER NOT NULL,             -- 1: limits do not hold it back
  text         TEXT    NOT NULL,
  encoding     TEXT    NOT NULL,
  segments     INTEGER NOT NULL,
  state        TEXT    NOT NULL,
  status       INTEGER NOT NULL DEFAULT -1,  -- the provider's latest code, -1 before the first
  api_id       TEXT    NOT NULL DEFAULT '',
  outdated_by  TEXT    NOT NULL DEFAULT '',  -- the newer message of its group that was sent past it
  attempts     INTEGER NOT NULL DEFAULT 0,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  attempted_at INTEGER NOT NULL DEFAULT 0,
  accepted_at  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX messages_state     ON messages (state, id);
CREATE INDEX messages_recipient ON messages (recipient, id);
CREATE INDEX messages_receiver  ON messages (receiver, id);
CREATE INDEX messages_api_id    ON messages (api_id) WHERE api_id <> '';
CREATE INDEX messages_unsent   ON messages (recipient, group_key, id) WHERE state IN ('queued', 'sending');
CREATE INDEX messages_open      ON messages (id) WHERE state IN ('queued', 'sending', 'accepted');
CREATE INDEX messages_finished  ON messages (updated_at) WHERE state NOT IN ('queued', 'sending', 'accepted');

CREATE TABLE events (
  message_id TEXT    NOT NULL,
  n          INTEGER NOT NULL, -- counts up from 1 within a message
  at         INTEGER NOT NULL,
  type       TEXT    NOT NULL,
  detail     TEXT    NOT NULL,
  PRIMARY KEY (message_id, n)
) WITHOUT ROWID, STRICT;

-- +goose Down

DROP TABLE events;
DROP TABLE messages;
DROP TABLE notifications;
