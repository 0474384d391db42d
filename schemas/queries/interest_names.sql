-- Interests that customers have, the most frequent first
SELECT arrayJoin(mapKeys(interests)) AS interest, count() AS customers
FROM profiles_latest
GROUP BY interest
ORDER BY customers DESC, interest
LIMIT 100
