CREATE OR REPLACE VIEW {{.View}} AS
SELECT source_topic, source_partition, source_epoch, source_offset, reason, field, key, value, truncated, kafka_timestamp
FROM {{.Source}}.late_event_rows FINAL
COMMENT 'Events of a closed day, one row a source position'
