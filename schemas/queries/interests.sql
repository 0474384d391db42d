-- What customers are interested in: the sum of their weights, now
SELECT category, round(sum(weight), 2) AS customers
FROM profiles_latest
ARRAY JOIN mapKeys(interests) AS category, mapValues(interests) AS weight
GROUP BY category
ORDER BY customers DESC, category
LIMIT 12
