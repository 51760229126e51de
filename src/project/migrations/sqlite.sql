-- What happened, as rows in SQLite; the columns are those of 0001_history.sql. Times are text (RFC 3339, in UTC, to the
-- microsecond), so that they sort, and JSON is text.

CREATE TABLE auren_biometrics (
    at              text        NOT NULL,
    logged_at       text        NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      integer     NOT NULL,
    event_id        text        NOT NULL,
    user_id         text        NOT NULL,
    event_type      text        NOT NULL,
    measure         text,
    severity        real        NOT NULL,
    percentile_rank real        NOT NULL,
    token           text        NOT NULL,
    rest            text        NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

CREATE TABLE auren_triggers (
    at              text        NOT NULL,
    logged_at       text        NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      integer     NOT NULL,
    event_id        text        NOT NULL,
    user_id         text        NOT NULL,
    trigger_type    text        NOT NULL,
    rule_id         text,
    rule_version    text,
    severity        real        NOT NULL,
    message         text        NOT NULL,
    rest            text        NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

CREATE TABLE auren_conversation_events (
    at              text        NOT NULL,
    logged_at       text        NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      integer     NOT NULL,
    event_id        text        NOT NULL,
    user_id         text        NOT NULL,
    message_type    text        NOT NULL,
    specialist_id   text        NOT NULL,
    agent_version   text,
    conversation_id text        NOT NULL,
    turn            integer     NOT NULL,
    cause_id        text        NOT NULL,
    cause_type      text        NOT NULL,
    severity        real,
    content         text        NOT NULL,
    rest            text        NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

CREATE TABLE auren_system_events (
    at              text        NOT NULL,
    logged_at       text        NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      integer     NOT NULL,
    event_id        text        NOT NULL,
    user_id         text,
    event_type      text        NOT NULL,
    node            text        NOT NULL,
    rest            text        NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

CREATE INDEX auren_biometrics_user ON auren_biometrics (user_id, at, log_partition, log_offset);
CREATE INDEX auren_triggers_user ON auren_triggers (user_id, at, log_partition, log_offset);
CREATE INDEX auren_conversation_events_user ON auren_conversation_events (user_id, at, log_partition, log_offset);
CREATE INDEX auren_system_events_user ON auren_system_events (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX auren_biometrics_event ON auren_biometrics (event_id);
CREATE INDEX auren_triggers_event ON auren_triggers (event_id);
CREATE INDEX auren_conversation_events_event ON auren_conversation_events (event_id);

-- The next offset of every partition. It moves in the transaction that writes the rows before it, and only from where it
-- was expected to be.
CREATE TABLE auren_offsets (
    topic         text    NOT NULL,
    log_partition integer NOT NULL,
    next          integer NOT NULL,
    PRIMARY KEY (topic, log_partition)
);

-- Records that are no rows, and why; never what they hold.
CREATE TABLE auren_refused (
    topic         text        NOT NULL,
    log_partition integer     NOT NULL,
    log_offset    integer     NOT NULL,
    logged_at     text        NOT NULL,
    class         text        NOT NULL,
    reason        text        NOT NULL,
    PRIMARY KEY (topic, log_partition, log_offset)
);

-- People who have been erased. They have no rows, and get none.
CREATE TABLE auren_erased (
    user_id text PRIMARY KEY,
    at      text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
);

CREATE VIEW auren_user_days AS
SELECT user_id, event_type, substr(at, 1, 10) || 'T00:00:00Z' AS day, count(*) AS events,
       avg(percentile_rank) AS mean_rank, max(severity) AS max_severity
FROM auren_biometrics GROUP BY 1, 2, 3;

CREATE VIEW auren_rule_hours AS
SELECT trigger_type, rule_id, substr(at, 1, 13) || ':00:00Z' AS hour, count(*) AS triggers,
       max(severity) AS max_severity
FROM auren_triggers GROUP BY 1, 2, 3;
