CREATE OR REPLACE VIEW {{.View}} AS
SELECT part.1 AS dimension, part.2 AS segment, count() AS customers, round(avg(churn_probability), 4) AS churn,
    round(countIf(churn_band = 'high') / customers, 4) AS high, round(sum(value_expected), 2) AS expected, round(sum(value_expected * churn_probability), 2) AS at_risk
FROM {{.Source}}.profiles FINAL
ARRAY JOIN [
    ('value', toString(value_band)),
    ('tenure', multiIf(first_seen > as_of - INTERVAL 30 DAY, '1: under 30 days', first_seen > as_of - INTERVAL 90 DAY, '2: 30 to 89 days',
        first_seen > as_of - INTERVAL 365 DAY, '3: 90 to 364 days', '4: 365 days and more')),
    ('orders', multiIf(orders_total = 0, '1: none', orders_total = 1, '2: one', '3: repeat')),
    ('interest', if(empty(interests), 'none', arraySort((k, w) -> -w, mapKeys(interests), mapValues(interests))[1]))] AS part
GROUP BY dimension, segment
COMMENT 'Current churn and money at risk by value band, tenure, number of orders and strongest interest; each customer counts once in each dimension'
