-- Interests that customers have, the most frequent among 20,000 of them first
SELECT arrayJoin(mapKeys(interests)) AS interest, count() AS customers
FROM (SELECT interests FROM profiles_latest LIMIT 20000)
GROUP BY interest
ORDER BY customers DESC, interest
LIMIT 100
