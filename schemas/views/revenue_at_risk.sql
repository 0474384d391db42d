CREATE OR REPLACE VIEW {{.View}} AS
SELECT day, churn_band, value_band, customers, round(expected, 2) AS expected, round(at_risk, 2) AS at_risk, refreshed_at
FROM {{.Source}}.band_days
COMMENT 'Customers, expected spend and spend at risk by day, churn band and value band, each customer by the newest row up to the day'
