-- +goose Up
ALTER TABLE bad_event_rows
    ADD COLUMN IF NOT EXISTS `source_epoch` Int32 COMMENT 'Epoch of the source partition: offsets begin anew with each' CODEC(ZSTD(1)),
    MODIFY ORDER BY (source_topic, source_partition, source_offset, source_epoch);

ALTER TABLE late_event_rows
    ADD COLUMN IF NOT EXISTS `source_epoch` Int32 COMMENT 'Epoch of the source partition: offsets begin anew with each' CODEC(ZSTD(1)),
    MODIFY ORDER BY (source_topic, source_partition, source_offset, source_epoch);

-- +goose Down
ALTER TABLE late_event_rows MODIFY ORDER BY (source_topic, source_partition, source_offset);

ALTER TABLE late_event_rows DROP COLUMN IF EXISTS source_epoch;

ALTER TABLE bad_event_rows MODIFY ORDER BY (source_topic, source_partition, source_offset);

ALTER TABLE bad_event_rows DROP COLUMN IF EXISTS source_epoch;
