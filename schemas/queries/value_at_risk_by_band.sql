-- Expected spend at risk by churn band and value band, now
SELECT churn_band || ' risk, ' || value_band || ' value' AS band, round(sum(value_expected * churn_probability), 2) AS at_risk
FROM profiles_latest
GROUP BY band
ORDER BY at_risk DESC
