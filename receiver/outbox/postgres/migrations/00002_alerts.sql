-- +goose Up

-- The latest state of each group of alerts, and each reply. What was seen before the upgrade is
-- forgotten: a notification may be sent once more.
DROP TABLE notifications;

CREATE TABLE notifications (
  key         bytea  NOT NULL PRIMARY KEY, -- of a group of alerts, or of a reply
  state       bytea  NOT NULL,             -- the latest
  seen_at     bigint NOT NULL,             -- when it was first seen
  sources     text   NOT NULL,             -- who sent it, separated by spaces
  before      bytea  NOT NULL,             -- the state before it
  earlier     text   NOT NULL,             -- who sent that
  message_ids text   NOT NULL              -- separated by spaces
);

CREATE INDEX notifications_seen_at ON notifications (seen_at);

ALTER TABLE pages ADD COLUMN alerts text NOT NULL DEFAULT ''; -- keys of those that have not ended, each between spaces

CREATE INDEX pages_of_group ON pages (receiver, md5(group_key), id);

-- +goose Down

DROP INDEX pages_of_group;

ALTER TABLE pages DROP COLUMN alerts;

DROP TABLE notifications;

CREATE TABLE notifications (
  key         bytea  NOT NULL PRIMARY KEY,
  seen_at     bigint NOT NULL,
  message_ids text   NOT NULL
);

CREATE INDEX notifications_seen_at ON notifications (seen_at);
