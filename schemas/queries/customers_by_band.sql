-- Customers and money at risk by churn band and value band, now
SELECT churn_band, value_band, count() AS customers, round(sum(value_expected), 2) AS expected,
    round(sum(value_expected * churn_probability), 2) AS at_risk
FROM profiles_latest
GROUP BY churn_band, value_band
ORDER BY churn_band, value_band
