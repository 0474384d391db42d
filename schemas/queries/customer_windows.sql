-- What one customer did in each window
-- user = customer-0007
SELECT part.1 AS window, part.2 AS page_views, part.3 AS cart_adds, part.4 AS orders, part.5 AS revenue, part.6 AS sessions
FROM profiles_latest
ARRAY JOIN [
    ('24h', page_views_24h, cart_adds_24h, orders_24h, toFloat64(revenue_24h), sessions_24h),
    ('7d', page_views_7d, cart_adds_7d, orders_7d, toFloat64(revenue_7d), sessions_7d),
    ('30d', page_views_30d, cart_adds_30d, orders_30d, toFloat64(revenue_30d), sessions_30d),
    ('90d', page_views_90d, cart_adds_90d, orders_90d, toFloat64(revenue_90d), sessions_90d),
    ('365d', page_views_365d, cart_adds_365d, orders_365d, toFloat64(revenue_365d), sessions_365d)] AS part
WHERE user_id = {user:String}
