-- From viewing a product through the cart to a purchase, by day, with orders and revenue
-- from = 2025-12-01 00:00:00
-- to = 2026-03-02 00:00:00
SELECT toDateTime(day, 'UTC') AS time, active, viewers, carters, buyers, new_buyers, orders, toFloat64(revenue) AS revenue
FROM funnel_days
WHERE day >= toDate({from:DateTime}) AND day <= toDate({to:DateTime})
ORDER BY day
