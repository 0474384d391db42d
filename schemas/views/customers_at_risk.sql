CREATE OR REPLACE VIEW {{.View}} AS
SELECT user_id, as_of, churn_probability, churn_band, value_expected, value_band, value_expected * churn_probability AS at_risk,
    orders_total, revenue_total, days_since_last_event, days_since_last_order, first_seen,
    if(empty(interests), '', arrayReduce('argMax', mapKeys(interests), mapValues(interests))) AS interest,
    arrayFirst(r -> r.2 > 0, reasons).1 AS reason, sentiment, model_version
FROM {{.Source}}.profiles FINAL
WHERE churn_band != 'low' AND orders_total > 0
COMMENT 'Customers who have bought and are not in the low churn band, with what is at stake and the strongest reason'
