-- +goose Up

-- Times are milliseconds since 1970 in UTC, 0 where there is none.

CREATE TABLE notifications (
  key         bytea  NOT NULL PRIMARY KEY, -- what makes a notification the same one
  seen_at     bigint NOT NULL,             -- when it was first seen in its window
  message_ids text   NOT NULL              -- separated by spaces
);

CREATE INDEX notifications_seen_at ON notifications (seen_at);

CREATE TABLE messages (
  id           text    COLLATE "C" NOT NULL PRIMARY KEY, -- a ULID: sorts by creation
  recipient    text    COLLATE "C" NOT NULL,
  receiver     text    COLLATE "C" NOT NULL,
  group_key    text    NOT NULL,
  headline     text    NOT NULL,             -- what it is about, for digests
  urgent       boolean NOT NULL,             -- limits do not hold it back
  text         text    NOT NULL,
  encoding     text    NOT NULL,
  segments     integer NOT NULL,
  state        text    COLLATE "C" NOT NULL,
  status       integer NOT NULL DEFAULT -1,  -- the provider's latest code, -1 before the first
  api_id       text    COLLATE "C" NOT NULL DEFAULT '',
  outdated_by  text    COLLATE "C" NOT NULL DEFAULT '', -- the newer message of its group that was sent past it
  attempts     integer NOT NULL DEFAULT 0,
  created_at   bigint  NOT NULL,
  updated_at   bigint  NOT NULL,
  expires_at   bigint  NOT NULL,
  attempted_at bigint  NOT NULL DEFAULT 0,
  accepted_at  bigint  NOT NULL DEFAULT 0
);

CREATE INDEX messages_state     ON messages (state, id);
CREATE INDEX messages_recipient ON messages (recipient, id);
CREATE INDEX messages_receiver  ON messages (receiver, id);
CREATE INDEX messages_api_id    ON messages (api_id) WHERE api_id <> '';
CREATE INDEX messages_unsent   ON messages (recipient, group_key, id) WHERE state IN ('queued', 'sending');
CREATE INDEX messages_open      ON messages (id) WHERE state IN ('queued', 'sending', 'accepted');
CREATE INDEX messages_finished  ON messages (updated_at) WHERE state NOT IN ('queued', 'sending', 'accepted');

-- Messages change state a few times and are then left alone: room in each page
-- for the new versions, and a vacuum that does not wait for a fifth of the table.
ALTER TABLE messages SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE events (
  message_id text    COLLATE "C" NOT NULL,
  n          integer NOT NULL, -- counts up from 1 within a message
  at         bigint  NOT NULL,
  type       text    NOT NULL,
  detail     text    NOT NULL,
  PRIMARY KEY (message_id, n)
);

-- +goose Down

DROP TABLE events;
DROP TABLE messages;
DROP TABLE notifications;
