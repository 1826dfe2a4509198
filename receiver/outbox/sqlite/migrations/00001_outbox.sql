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
  severity     TEXT    NOT NULL,             -- of the most severe alert that fires
  urgent       INTEGER NOT NULL,             -- 1: limits do not hold it back
  page_id      TEXT    NOT NULL DEFAULT '',  -- the page that it tells of
  text         TEXT    NOT NULL,
  encoding     TEXT    NOT NULL,
  segments     INTEGER NOT NULL,
  state        TEXT    NOT NULL,
  status       INTEGER NOT NULL DEFAULT 0,   -- one more than the provider's latest code, 0 before the first
  api_id       TEXT    NOT NULL DEFAULT '',
  outdated_by  TEXT    NOT NULL DEFAULT '',  -- the newer message of its group that was sent past it
  attempts     INTEGER NOT NULL DEFAULT 0,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  not_before   INTEGER NOT NULL DEFAULT 0,
  expires_at   INTEGER NOT NULL,
  attempted_at INTEGER NOT NULL DEFAULT 0,
  accepted_at  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX messages_state     ON messages (state, id);
CREATE INDEX messages_recipient ON messages (recipient, id);
CREATE INDEX messages_receiver  ON messages (receiver, id);
CREATE INDEX messages_api_id    ON messages (lower(api_id)) WHERE api_id <> '';
CREATE INDEX messages_page     ON messages (page_id, id) WHERE page_id <> '';
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

CREATE TABLE pages (
  id              TEXT    NOT NULL PRIMARY KEY, -- a ULID: sorts by opening
  receiver        TEXT    NOT NULL,
  group_key       TEXT    NOT NULL,
  code            TEXT    NOT NULL,             -- what a phone names it by
  state           TEXT    NOT NULL,
  version         INTEGER NOT NULL,             -- counts the changes, and guards them
  headline        TEXT    NOT NULL,
  severity        TEXT    NOT NULL,
  opened_at       INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  due_at          INTEGER NOT NULL DEFAULT 0,   -- when something is to be done about it
  acknowledged_at INTEGER NOT NULL DEFAULT 0,
  acknowledged_by TEXT    NOT NULL DEFAULT '',
  doc             TEXT    NOT NULL              -- JSON, on-call's own
) STRICT;

CREATE UNIQUE INDEX pages_group ON pages (receiver, group_key) WHERE state NOT IN ('resolved', 'expired');
CREATE UNIQUE INDEX pages_current_code ON pages (code)         WHERE state NOT IN ('resolved', 'expired');
CREATE INDEX pages_code         ON pages (code, id);
CREATE INDEX pages_state        ON pages (state, id);
CREATE INDEX pages_current      ON pages (id)                  WHERE state NOT IN ('resolved', 'expired');
CREATE INDEX pages_due          ON pages (due_at)              WHERE due_at > 0;
CREATE INDEX pages_finished     ON pages (updated_at)          WHERE state IN ('resolved', 'expired');

CREATE TABLE page_events (
  page_id TEXT    NOT NULL,
  n       INTEGER NOT NULL, -- counts up from 1 within a page
  at      INTEGER NOT NULL,
  type    TEXT    NOT NULL,
  who     TEXT    NOT NULL,
  detail  TEXT    NOT NULL,
  PRIMARY KEY (page_id, n)
) WITHOUT ROWID, STRICT;

CREATE TABLE marks (
  kind    TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  version INTEGER NOT NULL, -- counts the changes, and guards them
  at      INTEGER NOT NULL,
  doc     TEXT    NOT NULL, -- JSON
  PRIMARY KEY (kind, name)
) WITHOUT ROWID, STRICT;

-- +goose Down

DROP TABLE marks;
DROP TABLE page_events;
DROP TABLE pages;
DROP TABLE events;
DROP TABLE messages;
DROP TABLE notifications;
