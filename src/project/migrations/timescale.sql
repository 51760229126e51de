SELECT create_hypertable('auren_biometrics', 'at', chunk_time_interval => interval '7 days', if_not_exists => true, migrate_data => true);

SELECT create_hypertable('auren_triggers', 'at', chunk_time_interval => interval '30 days', if_not_exists => true, migrate_data => true);

SELECT create_hypertable('auren_conversation_events', 'at', chunk_time_interval => interval '30 days', if_not_exists => true, migrate_data => true);

ALTER TABLE auren_biometrics SET (timescaledb.compress, timescaledb.compress_segmentby = 'user_id', timescaledb.compress_orderby = 'at, log_partition, log_offset');

ALTER TABLE auren_conversation_events SET (timescaledb.compress, timescaledb.compress_segmentby = 'user_id', timescaledb.compress_orderby = 'at, log_partition, log_offset');

CREATE MATERIALIZED VIEW IF NOT EXISTS auren_user_days WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT user_id, event_type, time_bucket('1 day', at) AS day, count(*) AS events,
       avg(percentile_rank) AS mean_rank, max(severity) AS max_severity
FROM auren_biometrics GROUP BY 1, 2, 3 WITH NO DATA;

CREATE MATERIALIZED VIEW IF NOT EXISTS auren_rule_hours WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT trigger_type, rule_id, time_bucket('1 hour', at) AS hour, count(*) AS triggers,
       max(severity) AS max_severity
FROM auren_triggers GROUP BY 1, 2, 3 WITH NO DATA;

SELECT add_continuous_aggregate_policy('auren_user_days', start_offset => NULL, end_offset => interval '1 hour', schedule_interval => interval '1 hour', if_not_exists => true);

SELECT add_continuous_aggregate_policy('auren_rule_hours', start_offset => NULL, end_offset => interval '1 hour', schedule_interval => interval '1 hour', if_not_exists => true);
