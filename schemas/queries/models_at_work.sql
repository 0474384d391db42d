-- Which models scored the current profiles, and how many of them without text
SELECT model_version, toFloat64(count()) AS customers, toFloat64(countIf(degraded)) AS without_text, max(scored_at) AS newest
FROM profiles_latest
GROUP BY model_version
ORDER BY customers DESC, model_version
LIMIT 20
