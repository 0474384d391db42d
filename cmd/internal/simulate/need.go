package simulate

import (
	"math/rand/v2"
	"strings"
)

// A need is a category that a customer is about to buy, drawn half from the
// interests and half from life, which no past purchase tells. People look around
// by interest and buy what they need: searches tell the need, views do not.
// Neither it nor the service queries below change how often a customer visits,
// buys or leaves.
const (
	noNeed = -1

	needChance   = 0.22 // of a session to wake one
	needTold     = 0.8  // to be searched for when it wakes
	needFromLife = 0.5  // to come from no interest
	needAsked    = 0.6  // of a search in a later session to be about it
	needMet      = 0.6  // of a purchase to be about it
	needForgot   = 0.06 // of a session to end one unmet
)

// errand is the category of a purchase in a session about focus.
func (c *customer) errand(focus int) int {
	if c.need != noNeed && c.behave.Float64() < needMet {
		return c.need
	}
	return focus
}

// wake ends or wakes a need after a session and says whether it is told now.
func (c *customer) wake(w []float64, focus int, bought bool) (told bool) {
	r := c.behave
	if c.need != noNeed {
		if bought && focus == c.need || r.Float64() < needForgot {
			c.need = noNeed
		}
		return false
	}
	if r.Float64() >= needChance {
		return false
	}
	if c.need = choose(r, w); r.Float64() < needFromLife {
		c.need = r.IntN(categoryCount)
	}
	return r.Float64() < needTold
}

// Queries about the shop itself, by language: those of an unhappy and of a
// content customer.
var serviceQueries = [2][3][]string{
	english: {
		sad: {"return policy", "where is my refund", "contact customer service", "complaint about my order", "delete my account",
			"unsubscribe", "cancel order", "wrong item delivered", "damaged on arrival"},
		happy: {"loyalty points", "gift card", "new arrivals", "gift wrapping", "wish list", "refer a friend", "best sellers"},
	},
	chinese: {
		sad:   {"退货政策", "退款什么时候到", "联系客服", "投诉订单", "注销账号", "取消订单", "发错货了", "收到时破损"},
		happy: {"会员积分", "礼品卡", "新品", "礼品包装", "收藏夹", "推荐给朋友", "热销"},
	},
}

// unhappy is the mood under which customers complain.
const unhappy = -0.25

// Chances that a search is about the shop instead of its goods.
const (
	serviceSad   = 0.6  // of the unhappy
	serviceHappy = 0.15 // in a mood over 0.35
	serviceNoise = 0.03 // in any mood, about either
)

// query is what the customer types in a session about a category: goods, or
// now and then the shop itself. It stands in place of another search, so that
// counts of searches do not tell the mood.
func (c *customer) query(cat *catalogue, focus int) string {
	r := c.behave
	if c.need != noNeed && r.Float64() < needAsked {
		focus = c.need
	}
	tone, p := neutral, r.Float64()
	switch {
	case p < serviceNoise:
		tone = []int{sad, happy}[r.IntN(2)]
	case c.mood < unhappy && p < serviceNoise+serviceSad:
		tone = sad
	case c.mood > 0.35 && p < serviceNoise+serviceHappy:
		tone = happy
	default:
		return searchQuery(r, c.lang, cat, cat.pick(r, focus))
	}
	list := serviceQueries[c.lang][tone]
	return list[r.IntN(len(list))]
}

// needQuery names a need in other words than the goods' names.
func needQuery(r *rand.Rand, lang int, c *catalogue, category int) string {
	d := c.categories[category]
	noun := d.nouns[r.IntN(len(d.nouns))][lang]
	if lang == chinese {
		return []string{noun, noun + "哪个好", d.name[chinese]}[r.IntN(3)]
	}
	return []string{strings.ToLower(noun), strings.ToLower(noun) + " for a friend", strings.ToLower(noun) + " in stock",
		strings.ToLower(d.name[english])}[r.IntN(4)]
}
