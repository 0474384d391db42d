package simulate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// checkValue is a second reading of the contract's rules for one valid value;
// it shares nothing with the writer.
func checkValue(topic string, value []byte) (user, id, kind string, millis int64, err error) {
	if !utf8.Valid(value) || len(value) > 1<<20 {
		return "", "", "", 0, fmt.Errorf("not UTF-8 or too large")
	}
	var v struct {
		EventID *string         `json:"event_id"`
		UserID  *string         `json:"user_id"`
		Type    string          `json:"type"`
		TS      json.RawMessage `json:"ts"`
		Product *struct {
			ID       string
			Name     string
			Category string
			Price    *json.Number
		}
		Query    *string
		Text     *string
		Campaign *string
		Channel  *string
		URL      *string
		Quantity *int64
		OrderID  *string `json:"order_id"`
		Items    []struct {
			ProductID *string `json:"product_id"`
			Price     *json.Number
			Quantity  *int64
		}
		Total    *json.Number
		Currency *string
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return "", "", "", 0, err
	}
	if v.UserID == nil || *v.UserID == "" || v.TS == nil {
		return "", "", "", 0, fmt.Errorf("no user or time")
	}
	if v.EventID != nil {
		id = *v.EventID
	}
	if millis, err = checkTime(v.TS); err != nil {
		return "", "", "", 0, err
	}
	clicks := []string{"page_view", "product_view", "search", "add_to_cart", "remove_from_cart", "ad_impression", "ad_click", "feedback"}
	orders := []string{"purchase", "refund"}
	fail := func(what string) (string, string, string, int64, error) {
		return "", "", "", 0, fmt.Errorf("%s: %s", v.Type, what)
	}
	switch {
	case topic == TopicClickstream && !slices.Contains(clicks, v.Type), topic == TopicPurchases && !slices.Contains(orders, v.Type):
		return fail("type of another topic")
	case slices.Contains([]string{"product_view", "add_to_cart", "remove_from_cart"}, v.Type) && (v.Product == nil || v.Product.ID == ""):
		return fail("no product")
	case v.Type == "search" && v.Query == nil, v.Type == "feedback" && v.Text == nil:
		return fail("no words")
	case topic == TopicPurchases && v.Total == nil && len(v.Items) == 0:
		return fail("no amount")
	}
	amounts := []*json.Number{v.Total}
	for _, it := range v.Items {
		if it.Price == nil && v.Total == nil {
			return fail("item without price")
		}
		if it.Quantity != nil && (*it.Quantity < 1 || *it.Quantity > 1_000_000) {
			return fail("quantity")
		}
		amounts = append(amounts, it.Price)
	}
	for _, a := range amounts {
		if a == nil {
			continue
		}
		if x, err := strconv.ParseFloat(a.String(), 64); err != nil || x < 0 || x > 1e9 {
			return fail("amount " + a.String())
		}
	}
	return *v.UserID, id, v.Type, millis, nil
}

var strictTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`)

func checkTime(raw json.RawMessage) (int64, error) {
	if raw[0] != '"' {
		return strconv.ParseInt(string(raw), 10, 64)
	}
	s := string(raw[1 : len(raw)-1])
	if !strictTime.MatchString(s) {
		return 0, fmt.Errorf("time %q", s)
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UnixMilli(), err
}
