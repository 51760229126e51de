-- What happened, as rows. The log is the truth: all of this can be made again from it.

CREATE TABLE auren_biometrics (
    at              timestamptz NOT NULL,
    logged_at       timestamptz NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      bigint      NOT NULL,
    event_id        text        NOT NULL,
    user_id         text        NOT NULL,
    event_type      text        NOT NULL,
    measure         text,
    severity        double precision NOT NULL,
    percentile_rank double precision NOT NULL,
    token           text        NOT NULL,
    rest            jsonb       NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

CREATE TABLE auren_triggers (
    at              timestamptz NOT NULL,
    logged_at       timestamptz NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      bigint      NOT NULL,
    event_id        text        NOT NULL,
    user_id         text        NOT NULL,
    trigger_type    text        NOT NULL,
    rule_id         text,
    rule_version    text,
    severity        double precision NOT NULL,
    message         text        NOT NULL,
    rest            jsonb       NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

CREATE TABLE auren_conversation_events (
    at              timestamptz NOT NULL,
    logged_at       timestamptz NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      bigint      NOT NULL,
    event_id        text        NOT NULL,
    user_id         text        NOT NULL,
    message_type    text        NOT NULL,
    specialist_id   text        NOT NULL,
    agent_version   text,
    conversation_id text        NOT NULL,
    turn            bigint      NOT NULL,
    cause_id        text        NOT NULL,
    cause_type      text        NOT NULL,
    severity        double precision,
    content         text        NOT NULL,
    rest            jsonb       NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

CREATE TABLE auren_system_events (
    at              timestamptz NOT NULL,
    logged_at       timestamptz NOT NULL,
    log_partition   integer     NOT NULL,
    log_offset      bigint      NOT NULL,
    event_id        text        NOT NULL,
    user_id         text,
    event_type      text        NOT NULL,
    node            text        NOT NULL,
    rest            jsonb       NOT NULL,
    PRIMARY KEY (log_partition, log_offset, at)
);

-- Rows come about in the order of time, so that a few pages of BRIN find a span of it.
CREATE INDEX auren_biometrics_at ON auren_biometrics USING brin (at);
CREATE INDEX auren_triggers_at ON auren_triggers USING brin (at);
CREATE INDEX auren_conversation_events_at ON auren_conversation_events USING brin (at);
CREATE INDEX auren_biometrics_user ON auren_biometrics (user_id, at);
CREATE INDEX auren_triggers_user ON auren_triggers (user_id, at);
CREATE INDEX auren_conversation_events_user ON auren_conversation_events (user_id, at);
CREATE INDEX auren_system_events_user ON auren_system_events (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX auren_biometrics_event ON auren_biometrics (event_id);
CREATE INDEX auren_triggers_event ON auren_triggers (event_id);
CREATE INDEX auren_conversation_events_event ON auren_conversation_events (event_id);

-- The next offset of every partition. It moves in the transaction that writes the rows before it, and only from where it
-- was expected to be.
CREATE TABLE auren_offsets (
    topic         text    NOT NULL,
    log_partition integer NOT NULL,
    next          bigint  NOT NULL,
    PRIMARY KEY (topic, log_partition)
);

-- Records that are no rows, and why; never what they hold.
CREATE TABLE auren_refused (
    topic         text        NOT NULL,
    log_partition integer     NOT NULL,
    log_offset    bigint      NOT NULL,
    logged_at     timestamptz NOT NULL,
    class         text        NOT NULL,
    reason        text        NOT NULL,
    PRIMARY KEY (topic, log_partition, log_offset)
);

-- People who have been erased. They have no rows, and get none.
CREATE TABLE auren_erased (
    user_id text PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now()
);
