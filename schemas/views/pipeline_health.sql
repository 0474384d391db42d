CREATE OR REPLACE VIEW {{.View}} AS
SELECT source_topic, count() AS partitions, sum(p.records) AS records, sum(p.applied) AS applied, sum(p.duplicates) AS duplicates, sum(p.late) AS late,
    sum(p.dead_lettered) AS dead_lettered, records - applied - duplicates - late - dead_lettered AS on_the_way,
    round(dead_lettered / nullIf(records, 0), 6) AS dead_share, min(p.watermark) AS watermark
FROM
(
    SELECT source_topic, source_partition, max(a.records) AS records, sum(a.applied) AS applied, sum(a.duplicates) AS duplicates, sum(a.late) AS late,
        max(a.rejected) + sum(a.hot) AS dead_lettered, max(a.watermark) AS watermark
    FROM {{.Source}}.accounting_rows AS a FINAL
    GROUP BY source_topic, source_partition
) AS p
GROUP BY source_topic
COMMENT 'Per input topic: whether the books balance, the share dead-lettered, and the slowest partition''s watermark'
