CREATE OR REPLACE VIEW {{.View}} AS
SELECT day, active, viewers, carters, buyers, round(carters / nullIf(viewers, 0), 4) AS view_to_cart, round(buyers / nullIf(carters, 0), 4) AS cart_to_purchase,
    buyers_in_all, new_buyers, orders, revenue, refreshed_at
FROM {{.Source}}.activity_days
COMMENT 'By UTC day: customers who viewed a product, of these put something into the cart, of these bought; orders and revenue'
