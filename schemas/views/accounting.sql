CREATE OR REPLACE VIEW {{.View}} AS
SELECT
    source_topic,
    source_partition,
    max(a.records) AS records,
    sum(a.applied) AS applied,
    sum(a.duplicates) AS duplicates,
    sum(a.late) AS late,
    max(a.rejected) + sum(a.hot) AS dead_lettered,
    max(a.watermark) AS watermark
FROM {{.Source}}.accounting_rows AS a FINAL
GROUP BY source_topic, source_partition
COMMENT 'Per source partition: records = applied + duplicates + late + dead_lettered'
