-- Whether the books balance: what became of the records of each input topic
SELECT source_topic, partitions, records, applied, duplicates, late, dead_lettered, on_the_way, dead_share, watermark
FROM pipeline_health
ORDER BY source_topic
