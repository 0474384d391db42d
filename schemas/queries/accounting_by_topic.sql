-- What became of every record, by input topic, and how far time has come
SELECT source_topic, count() AS partitions, sum(records) AS records, sum(applied) AS applied, sum(duplicates) AS duplicates, sum(late) AS late,
    sum(dead_lettered) AS dead_lettered, min(watermark) AS slowest, max(watermark) AS newest
FROM accounting
GROUP BY source_topic
ORDER BY source_topic
