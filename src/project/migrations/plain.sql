CREATE OR REPLACE VIEW auren_user_days AS
SELECT user_id, event_type, date_trunc('day', at, 'UTC') AS day, count(*) AS events,
       avg(percentile_rank) AS mean_rank, max(severity) AS max_severity
FROM auren_biometrics GROUP BY 1, 2, 3;

CREATE OR REPLACE VIEW auren_rule_hours AS
SELECT trigger_type, rule_id, date_trunc('hour', at, 'UTC') AS hour, count(*) AS triggers,
       max(severity) AS max_severity
FROM auren_triggers GROUP BY 1, 2, 3;
