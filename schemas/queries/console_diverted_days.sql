-- Dead-lettered and late records by UTC day of their Kafka timestamp, over the last days that have any
-- days = 60
SELECT toDate(kafka_timestamp) AS day, toFloat64(countIf(reason != 'late')) AS dead_lettered, toFloat64(countIf(reason = 'late')) AS late
FROM (SELECT kafka_timestamp, reason FROM bad_events UNION ALL SELECT kafka_timestamp, reason FROM late_events)
GROUP BY day
ORDER BY day DESC
LIMIT {days:UInt16}
