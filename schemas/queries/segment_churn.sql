-- Churn and spend at risk by one way to divide customers: value, tenure, orders or interest
-- dimension = orders
SELECT segment, customers, churn, high, expected, at_risk
FROM churn_by_segment
WHERE dimension = {dimension:String}
ORDER BY segment
