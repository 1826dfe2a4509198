-- +goose Up

-- A message's history is in its row: JSON, a list of {"at":…,"type":…,"detail":…}. There are fewer
-- indexes, as each is written for every message.

ALTER TABLE messages RENAME TO old_messages;
ALTER INDEX messages_pkey RENAME TO old_messages_pkey;
DROP INDEX messages_state, messages_recipient, messages_receiver, messages_api_id, messages_page, messages_unsent, messages_open, messages_finished;

CREATE TABLE messages (
  id           text    COLLATE "C" NOT NULL PRIMARY KEY, -- a ULID: sorts by creation
  recipient    text    COLLATE "C" NOT NULL,
  receiver     text    COLLATE "C" NOT NULL,
  group_key    text    NOT NULL,
  headline     text    NOT NULL,             -- what it is about, for digests
  severity     text    NOT NULL,             -- of the most severe alert that fires
  urgent       boolean NOT NULL,             -- limits do not hold it back
  page_id      text    COLLATE "C" NOT NULL, -- the page that it is about, "" for none
  text         text    NOT NULL,
  encoding     text    NOT NULL,
  segments     integer NOT NULL,
  state        text    COLLATE "C" NOT NULL,
  status       integer NOT NULL,             -- one more than the provider's latest code, 0 before the first
  api_id       text    COLLATE "C" NOT NULL,
  outdated_by  text    COLLATE "C" NOT NULL, -- the newer message of its group that was sent past it
  attempts     integer NOT NULL,
  created_at   bigint  NOT NULL,
  updated_at   bigint  NOT NULL,
  not_before   bigint  NOT NULL,
  expires_at   bigint  NOT NULL,
  attempted_at bigint  NOT NULL,
  accepted_at  bigint  NOT NULL,
  events       text    NOT NULL
);

ALTER TABLE messages SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

INSERT INTO messages
SELECT m.*, COALESCE((SELECT json_agg(json_build_object('at', at, 'type', type, 'detail', detail) ORDER BY n)::text FROM events WHERE message_id = m.id), '[]')
FROM old_messages m;

DROP TABLE old_messages;
DROP TABLE events;

CREATE INDEX messages_recipient ON messages (recipient, id);
CREATE INDEX messages_receiver  ON messages (receiver, id);
CREATE INDEX messages_api_id    ON messages (lower(api_id)) WHERE api_id <> '';
CREATE INDEX messages_page      ON messages (page_id, id)   WHERE page_id <> '';
CREATE INDEX messages_open      ON messages (id)            WHERE state IN ('queued', 'sending', 'accepted');
CREATE INDEX messages_rare      ON messages (state, id)     WHERE state NOT IN ('queued', 'sending', 'accepted', 'delivered');

-- +goose Down

DROP INDEX messages_rare, messages_recipient, messages_receiver, messages_api_id, messages_page, messages_open;

CREATE TABLE events (
  message_id text    COLLATE "C" NOT NULL,
  n          integer NOT NULL, -- counts up from 1 within a message
  at         bigint  NOT NULL,
  type       text    NOT NULL,
  detail     text    NOT NULL,
  PRIMARY KEY (message_id, n)
);

INSERT INTO events
SELECT m.id, e.n, (e.line->>'at')::bigint, e.line->>'type', e.line->>'detail'
FROM messages m, json_array_elements(m.events::json) WITH ORDINALITY AS e (line, n);

ALTER TABLE messages DROP COLUMN events;
ALTER TABLE messages
  ALTER COLUMN page_id      SET DEFAULT '',
  ALTER COLUMN status       SET DEFAULT 0,
  ALTER COLUMN api_id       SET DEFAULT '',
  ALTER COLUMN outdated_by  SET DEFAULT '',
  ALTER COLUMN attempts     SET DEFAULT 0,
  ALTER COLUMN not_before   SET DEFAULT 0,
  ALTER COLUMN attempted_at SET DEFAULT 0,
  ALTER COLUMN accepted_at  SET DEFAULT 0;

CREATE INDEX messages_state     ON messages (state, id);
CREATE INDEX messages_recipient ON messages (recipient, id);
CREATE INDEX messages_receiver  ON messages (receiver, id);
CREATE INDEX messages_api_id    ON messages (lower(api_id)) WHERE api_id <> '';
CREATE INDEX messages_page      ON messages (page_id, id) WHERE page_id <> '';
CREATE INDEX messages_unsent    ON messages (recipient, md5(group_key), id) WHERE state IN ('queued', 'sending');
CREATE INDEX messages_open      ON messages (id) WHERE state IN ('queued', 'sending', 'accepted');
CREATE INDEX messages_finished  ON messages (updated_at) WHERE state NOT IN ('queued', 'sending', 'accepted');
