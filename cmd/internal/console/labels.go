package console

import (
	"strings"

	"profilestream/schemas"
)

// words are the names that people give the columns.
var words = map[string]string{
	"page_views": "Page views", "product_views": "Product views", "searches": "Searches", "cart_adds": "Added to cart", "ad_clicks": "Ad clicks",
	"refunds": "Refunds", "orders": "Orders", "items": "Items bought", "revenue": "Spend", "distinct_products": "Different products",
	"distinct_categories": "Different categories", "active_days": "Active days", "sessions": "Visits",
	"first_seen": "First seen", "last_seen": "Last seen", "last_order_at": "Last order", "orders_total": "Orders, ever", "revenue_total": "Spend, ever",
	"events_total": "Events, ever", "days_since_last_event": "Days since last visit", "days_since_last_order": "Days since last order",
	"mean_order_gap_days": "Days between orders",
	"churn_probability":   "Churn risk", "churn_band": "Churn band", "value_expected": "Expected value, 90 days", "value_band": "Value band",
	"at_risk": "Value at risk", "interests": "Interest", "sentiment": "Sentiment", "flags": "Flag", "model_version": "Model", "degraded": "Scored without text",
}

var spans = map[string]string{"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "365 days"}

// Label is the name of a column or of a reason as people say it.
func Label(column string) string {
	if w, ok := words[column]; ok {
		return w
	}
	if at := strings.LastIndexByte(column, '_'); at > 0 {
		if span, ok := spans[column[at+1:]]; ok {
			if w, ok := words[column[:at]]; ok {
				return w + ", " + span
			}
		}
	}
	return capital(strings.ReplaceAll(column, "_", " "))
}

// feature is the one of a name.
func feature(name string) (schemas.Feature, bool) {
	for _, f := range schemas.Features {
		if f.Name == name {
			return f, true
		}
	}
	return schemas.Feature{}, false
}
