CREATE OR REPLACE VIEW {{.View}} AS
SELECT toDate(kafka_timestamp) AS day, source_topic, reason, count() AS records
FROM {{.Source}}.bad_event_rows FINAL
GROUP BY day, source_topic, reason
UNION ALL
SELECT toDate(kafka_timestamp) AS day, source_topic, reason, count() AS records
FROM {{.Source}}.late_event_rows FINAL
GROUP BY day, source_topic, reason
COMMENT 'Dead-lettered and late records by UTC day, input topic and reason'
