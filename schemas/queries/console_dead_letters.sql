-- Dead-lettered records by reason and field, the most frequent first
SELECT reason, field, count() AS records, max(kafka_timestamp) AS newest
FROM bad_events
GROUP BY reason, field
ORDER BY records DESC, reason, field
LIMIT 50
