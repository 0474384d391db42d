-- +goose Up
CREATE TABLE IF NOT EXISTS accounting_rows
(
    `source_topic` LowCardinality(String) COMMENT 'Input topic',
    `source_partition` Int32 COMMENT 'Its partition',
    `log_partition` Int32 COMMENT 'Partition of the event log that counted',
    `row_version` UInt64 COMMENT 'Event log offset up to which the row counts; newest wins',
    `records` Int64 COMMENT 'Records read from the source partition; the same in every log partition',
    `rejected` Int64 COMMENT 'Of these dead-lettered at admission; the same in every log partition',
    `applied` Int64 COMMENT 'Events applied in this log partition',
    `duplicates` Int64 COMMENT 'Events dropped as duplicates in this log partition',
    `late` Int64 COMMENT 'Events of a closed day in this log partition',
    `hot` Int64 COMMENT 'Events dead-lettered by the cap of a user and day in this log partition',
    `watermark` DateTime64(3, 'UTC') COMMENT 'Largest event time of the source partition that this log partition has seen'
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (source_topic, source_partition, log_partition)
COMMENT 'Totals of each source partition, by log partition. Read it through accounting.';

CREATE TABLE IF NOT EXISTS bad_event_rows
(
{{- template "diverted"}}
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (source_topic, source_partition, source_offset, source_epoch)
COMMENT 'The DLQ topic. Read it through bad_events.';

CREATE TABLE IF NOT EXISTS late_event_rows
(
{{- template "diverted"}}
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (source_topic, source_partition, source_offset, source_epoch)
COMMENT 'The late topic. Read it through late_events.';

-- +goose Down
DROP TABLE IF EXISTS late_event_rows;

DROP TABLE IF EXISTS bad_event_rows;

DROP TABLE IF EXISTS accounting_rows;
