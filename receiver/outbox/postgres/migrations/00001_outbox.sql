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
  severity     text    NOT NULL,             -- of the most severe alert that fires
  urgent       boolean NOT NULL,             -- limits do not hold it back
  page_id      text    COLLATE "C" NOT NULL DEFAULT '', -- the page that it tells of
  text         text    NOT NULL,
  encoding     text    NOT NULL,
  segments     integer NOT NULL,
  state        text    COLLATE "C" NOT NULL,
  status       integer NOT NULL DEFAULT 0,   -- one more than the provider's latest code, 0 before the first
  api_id       text    COLLATE "C" NOT NULL DEFAULT '',
  outdated_by  text    COLLATE "C" NOT NULL DEFAULT '', -- the newer message of its group that was sent past it
  attempts     integer NOT NULL DEFAULT 0,
  created_at   bigint  NOT NULL,
  updated_at   bigint  NOT NULL,
  not_before   bigint  NOT NULL DEFAULT 0,
  expires_at   bigint  NOT NULL,
  attempted_at bigint  NOT NULL DEFAULT 0,
  accepted_at  bigint  NOT NULL DEFAULT 0
);

CREATE INDEX messages_state     ON messages (state, id);
CREATE INDEX messages_recipient ON messages (recipient, id);
CREATE INDEX messages_receiver  ON messages (receiver, id);
CREATE INDEX messages_api_id    ON messages (lower(api_id)) WHERE api_id <> '';
-- A group key may be longer than what an index can hold: its digest stands in.
CREATE INDEX messages_page     ON messages (page_id, id) WHERE page_id <> '';
CREATE INDEX messages_unsent   ON messages (recipient, md5(group_key), id) WHERE state IN ('queued', 'sending');
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

CREATE TABLE pages (
  id              text    COLLATE "C" NOT NULL PRIMARY KEY, -- a ULID: sorts by opening
  receiver        text    NOT NULL,
  group_key       text    NOT NULL,
  code            text    COLLATE "C" NOT NULL, -- what a phone names it by
  state           text    COLLATE "C" NOT NULL,
  version         integer NOT NULL,             -- counts the changes, and guards them
  headline        text    NOT NULL,
  severity        text    NOT NULL,
  opened_at       bigint  NOT NULL,
  updated_at      bigint  NOT NULL,
  due_at          bigint  NOT NULL DEFAULT 0,   -- when something is to be done about it
  acknowledged_at bigint  NOT NULL DEFAULT 0,
  acknowledged_by text    NOT NULL DEFAULT '',
  doc             text    NOT NULL              -- JSON, on-call's own
);


CREATE UNIQUE INDEX pages_group ON pages (receiver, md5(group_key)) WHERE state NOT IN ('resolved', 'expired');
CREATE UNIQUE INDEX pages_current_code ON pages (code)         WHERE state NOT IN ('resolved', 'expired');
CREATE INDEX pages_code         ON pages (code, id);
CREATE INDEX pages_state        ON pages (state, id);
CREATE INDEX pages_current      ON pages (id)                  WHERE state NOT IN ('resolved', 'expired');
CREATE INDEX pages_due          ON pages (due_at)              WHERE due_at > 0;
CREATE INDEX pages_finished     ON pages (updated_at)          WHERE state IN ('resolved', 'expired');

CREATE TABLE page_events (
  page_id text    COLLATE "C" NOT NULL,
  n       integer NOT NULL, -- counts up from 1 within a page
  at      bigint  NOT NULL,
  type    text    NOT NULL,
  who     text    NOT NULL,
  detail  text    NOT NULL,
  PRIMARY KEY (page_id, n)
);

CREATE TABLE marks (
  kind    text    COLLATE "C" NOT NULL,
  name    text    COLLATE "C" NOT NULL,
  version integer NOT NULL, -- counts the changes, and guards them
  at      bigint  NOT NULL,
  doc     text    NOT NULL, -- JSON
  PRIMARY KEY (kind, name)
);

-- Who sends.
CREATE TABLE lease (
  id      boolean     NOT NULL PRIMARY KEY DEFAULT true CHECK (id), -- one row
  holder  text        NOT NULL,
  term    bigint      NOT NULL, -- counts the holders: who writes in an older term is refused
  expires timestamptz NOT NULL  -- free after this
);

INSERT INTO lease (holder, term, expires) VALUES ('', 0, '-infinity');

-- +goose Down

DROP TABLE lease;
DROP TABLE marks;
DROP TABLE page_events;
DROP TABLE pages;
DROP TABLE events;
DROP TABLE messages;
DROP TABLE notifications;
