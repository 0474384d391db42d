CREATE OR REPLACE VIEW {{.View}} AS
SELECT source_topic, source_partition, source_epoch, source_offset, reason, field, key, value, truncated, kafka_timestamp
FROM {{.Source}}.bad_event_rows FINAL
COMMENT 'Dead-lettered records, one row a source position'
