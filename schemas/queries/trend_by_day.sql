-- Customers and expected spend at risk by churn band, over the newest days
-- days = 90
SELECT day, churn_band, toFloat64(sum(customers)) AS customers, toFloat64(sum(at_risk)) AS at_risk
FROM revenue_at_risk
WHERE day > (SELECT max(day) FROM revenue_at_risk) - {days:UInt16}
GROUP BY day, churn_band
ORDER BY day, churn_band
