-- From viewing a product through the cart to a purchase, by window
SELECT window, viewers, carters, buyers, view_to_cart, cart_to_purchase
FROM funnel_windows
ORDER BY days
