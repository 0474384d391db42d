-- Dead letters by input topic, reason and the field at fault
SELECT source_topic, reason, field, count() AS records, max(kafka_timestamp) AS newest
FROM bad_events
GROUP BY source_topic, reason, field
ORDER BY records DESC, source_topic, reason
LIMIT 50
