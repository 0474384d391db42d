-- The mood of customers' newest feedback, now
SELECT multiIf(sentiment < -0.33, 'negative', sentiment < 0.33, 'neutral', 'positive') AS feedback, count() AS customers
FROM profiles_latest
WHERE isNotNull(sentiment)
GROUP BY feedback
ORDER BY feedback
