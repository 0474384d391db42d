-- Dead letters by reason
SELECT reason, count() AS records
FROM bad_events
GROUP BY reason
ORDER BY records DESC, reason
