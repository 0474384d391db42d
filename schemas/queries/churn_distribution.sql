-- How many customers have which probability of churn, in steps of 5 %, now
SELECT leftPad(toString(toUInt8(floor(least(churn_probability, 0.999) * 20) * 5)), 2, '0') || ' %' AS churn, count() AS customers
FROM profiles_latest
GROUP BY churn
ORDER BY churn
