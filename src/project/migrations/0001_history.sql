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

-- What each column holds, for \d+ in psql.
COMMENT ON TABLE auren_biometrics IS 'Topic health.biometrics: a measurement each, sealed; only metadata can be read';
COMMENT ON COLUMN auren_biometrics.at IS 'When it happened, in UTC, to the microsecond';
COMMENT ON COLUMN auren_biometrics.logged_at IS 'When it was written to the log, in UTC, to the millisecond';
COMMENT ON COLUMN auren_biometrics.log_partition IS 'The partition of the topic';
COMMENT ON COLUMN auren_biometrics.log_offset IS 'The offset in the partition; with the partition it is the place in the topic';
COMMENT ON COLUMN auren_biometrics.event_id IS 'The event''s own id';
COMMENT ON COLUMN auren_biometrics.user_id IS 'Whom it is about: a surrogate';
COMMENT ON COLUMN auren_biometrics.event_type IS 'Such as hrv_measurement, sleep_analysis';
COMMENT ON COLUMN auren_biometrics.measure IS 'What was measured, such as rmssd; null where the producer does not say';
COMMENT ON COLUMN auren_biometrics.severity IS 'metadata.severity_score, 0 to 1';
COMMENT ON COLUMN auren_biometrics.percentile_rank IS 'metadata.percentile_rank within the person''s own past, 0 to 1';
COMMENT ON COLUMN auren_biometrics.token IS 'The sealed value';
COMMENT ON COLUMN auren_biometrics.rest IS 'All other fields of the event, as they were written';
COMMENT ON TABLE auren_triggers IS 'Topic triggers.detected: something noticed each';
COMMENT ON COLUMN auren_triggers.at IS 'When it happened, in UTC, to the microsecond';
COMMENT ON COLUMN auren_triggers.logged_at IS 'When it was written to the log, in UTC, to the millisecond';
COMMENT ON COLUMN auren_triggers.log_partition IS 'The partition of the topic';
COMMENT ON COLUMN auren_triggers.log_offset IS 'The offset in the partition; with the partition it is the place in the topic';
COMMENT ON COLUMN auren_triggers.event_id IS 'The trigger_id';
COMMENT ON COLUMN auren_triggers.user_id IS 'Whom it is about: a surrogate';
COMMENT ON COLUMN auren_triggers.trigger_type IS 'Such as hrv_drop';
COMMENT ON COLUMN auren_triggers.rule_id IS 'The rule that found it; null where an outside producer wrote it';
COMMENT ON COLUMN auren_triggers.rule_version IS 'The rule''s version';
COMMENT ON COLUMN auren_triggers.severity IS '0 to 1';
COMMENT ON COLUMN auren_triggers.message IS 'What was noticed, in words';
COMMENT ON COLUMN auren_triggers.rest IS 'All other fields of the event, as they were written';
COMMENT ON TABLE auren_conversation_events IS 'Topic conversations.events: something said each';
COMMENT ON COLUMN auren_conversation_events.at IS 'When it happened, in UTC, to the microsecond';
COMMENT ON COLUMN auren_conversation_events.logged_at IS 'When it was written to the log, in UTC, to the millisecond';
COMMENT ON COLUMN auren_conversation_events.log_partition IS 'The partition of the topic';
COMMENT ON COLUMN auren_conversation_events.log_offset IS 'The offset in the partition; with the partition it is the place in the topic';
COMMENT ON COLUMN auren_conversation_events.event_id IS 'The event''s own id';
COMMENT ON COLUMN auren_conversation_events.user_id IS 'Whom it is about: a surrogate';
COMMENT ON COLUMN auren_conversation_events.message_type IS 'user_input, specialist_response or system_message';
COMMENT ON COLUMN auren_conversation_events.specialist_id IS 'The agent that speaks, or user, or auren';
COMMENT ON COLUMN auren_conversation_events.agent_version IS 'The agent''s version';
COMMENT ON COLUMN auren_conversation_events.conversation_id IS 'The conversation';
COMMENT ON COLUMN auren_conversation_events.turn IS 'The turn of the person''s session, from 1';
COMMENT ON COLUMN auren_conversation_events.cause_id IS 'The trigger or message that it answers';
COMMENT ON COLUMN auren_conversation_events.cause_type IS 'trigger or message';
COMMENT ON COLUMN auren_conversation_events.severity IS 'The trigger''s, 0 to 1';
COMMENT ON COLUMN auren_conversation_events.content IS 'The text';
COMMENT ON COLUMN auren_conversation_events.rest IS 'All other fields of the event, as they were written';
COMMENT ON TABLE auren_system_events IS 'Topic system.events: what happened to nodes and people';
COMMENT ON COLUMN auren_system_events.at IS 'When it happened, in UTC, to the microsecond';
COMMENT ON COLUMN auren_system_events.logged_at IS 'When it was written to the log, in UTC, to the millisecond';
COMMENT ON COLUMN auren_system_events.log_partition IS 'The partition of the topic';
COMMENT ON COLUMN auren_system_events.log_offset IS 'The offset in the partition; with the partition it is the place in the topic';
COMMENT ON COLUMN auren_system_events.event_id IS 'The event''s own id';
COMMENT ON COLUMN auren_system_events.user_id IS 'Whom it is about; null where it is about nobody';
COMMENT ON COLUMN auren_system_events.event_type IS 'Such as hub_started, audit_signed';
COMMENT ON COLUMN auren_system_events.node IS 'The node that wrote it';
COMMENT ON COLUMN auren_system_events.rest IS 'All other fields of the event, as they were written';
COMMENT ON COLUMN auren_offsets.topic IS 'The topic';
COMMENT ON COLUMN auren_offsets.log_partition IS 'The partition';
COMMENT ON COLUMN auren_offsets.next IS 'The offset of the next record to be read';
COMMENT ON TABLE auren_refused IS 'Records that are no rows';
COMMENT ON COLUMN auren_refused.topic IS 'The topic';
COMMENT ON COLUMN auren_refused.log_partition IS 'The partition';
COMMENT ON COLUMN auren_refused.log_offset IS 'The offset';
COMMENT ON COLUMN auren_refused.logged_at IS 'When it was written to the log, in UTC';
COMMENT ON COLUMN auren_refused.class IS 'As dead letters name it, such as wrong_shape; unstorable where PostgreSQL refused it';
COMMENT ON COLUMN auren_refused.reason IS 'The field, and what is wrong with it; never its value';
COMMENT ON TABLE auren_erased IS 'People who have been erased. They have no rows, and get none';
COMMENT ON COLUMN auren_erased.user_id IS 'Who';
COMMENT ON COLUMN auren_erased.at IS 'When the projector heard of it, in UTC';
