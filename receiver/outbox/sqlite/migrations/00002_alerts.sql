-- +goose Up

-- The latest state of each group of alerts, and each reply. What was seen before the upgrade is
-- forgotten: a notification may be sent once more.
DROP TABLE notifications;

CREATE TABLE notifications (
  key         BLOB    NOT NULL PRIMARY KEY, -- of a group of alerts, or of a reply
  state       BLOB    NOT NULL,             -- the latest
  seen_at     INTEGER NOT NULL,             -- when it was first seen
  sources     TEXT    NOT NULL,             -- who sent it, separated by spaces
  before      BLOB    NOT NULL,             -- the state before it
  earlier     TEXT    NOT NULL,             -- who sent that
  message_ids TEXT    NOT NULL              -- separated by spaces
) WITHOUT ROWID, STRICT;

CREATE INDEX notifications_seen_at ON notifications (seen_at);

ALTER TABLE pages ADD COLUMN alerts TEXT NOT NULL DEFAULT ''; -- keys of those that have not ended, each between spaces

CREATE INDEX pages_of_group ON pages (receiver, group_key, id);

-- +goose Down

DROP INDEX pages_of_group;

ALTER TABLE pages DROP COLUMN alerts;

DROP TABLE notifications;

CREATE TABLE notifications (
  key         BLOB    NOT NULL PRIMARY KEY,
  seen_at     INTEGER NOT NULL,
  message_ids TEXT    NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX notifications_seen_at ON notifications (seen_at);
