CREATE OR REPLACE VIEW {{.View}} AS
SELECT part.1 AS dimension, part.2 AS segment, sum(n) AS customers, round(sum(c) / customers, 4) AS churn, round(sum(h) / customers, 4) AS high,
    round(sum(e), 2) AS expected, round(sum(r), 2) AS at_risk
FROM
(
    SELECT value_band, (first_seen <= as_of - INTERVAL 30 DAY) + (first_seen <= as_of - INTERVAL 90 DAY) + (first_seen <= as_of - INTERVAL 365 DAY) AS tenure,
        least(orders_total, 2) AS orders, mapKeys(interests)[indexOf(mapValues(interests), arrayMax(mapValues(interests)))] AS interest,
        count() AS n, sum(churn_probability) AS c, countIf(churn_band = 'high') AS h, sum(value_expected) AS e, sum(value_expected * churn_probability) AS r
    FROM {{.Source}}.profiles FINAL
    GROUP BY value_band, tenure, orders, interest
)
ARRAY JOIN [
    ('value', toString(value_band)),
    ('tenure', ['1: under 30 days', '2: 30 to 89 days', '3: 90 to 364 days', '4: 365 days and more'][tenure + 1]),
    ('orders', ['1: none', '2: one', '3: repeat'][orders + 1]),
    ('interest', if(interest = '', 'none', interest))] AS part
GROUP BY dimension, segment
COMMENT 'Current churn and money at risk by value band, tenure, number of orders and strongest interest; each customer counts once in each dimension'
