-- Milliseconds from an event's Kafka timestamp to its live row's score, over the newest hour of scoring; rows of events older than an hour count apart
SELECT toFloat64(countIf(millis <= 3600000)) AS fresh, toFloat64(countIf(millis > 3600000)) AS old, max(scored_at) AS newest,
    arrayMap(q -> if(isFinite(q), q, 0), quantilesIf(0.5, 0.95, 0.99)(millis, millis <= 3600000)) AS quantiles
FROM
(
    SELECT scored_at, toFloat64(dateDiff('millisecond', kafka_time, scored_at)) AS millis
    FROM profiles_latest
    WHERE trigger = 'live' AND scored_at > (SELECT max(scored_at) FROM profiles_latest) - INTERVAL 1 HOUR
)
