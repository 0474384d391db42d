-- What became of the records of each source partition
SELECT source_topic, source_partition, records, applied, duplicates, late, dead_lettered, records - applied - duplicates - late - dead_lettered AS on_the_way, watermark
FROM accounting
ORDER BY source_topic, source_partition
