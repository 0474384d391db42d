package simulate

import (
	"math/rand/v2"
	"strings"
)

// Feedback is an opening, a remark on one aspect and sometimes a closing, each
// from the list of its sentiment, so that thousands of texts come out and one
// text can mix praise and blame.

const (
	english = 0
	chinese = 1
)

const (
	sad = iota
	neutral
	happy
)

var openings = [2][3][]string{
	english: {
		sad: {"Very disappointed with the {p}.", "The {p} broke after two days.", "I expected much better from this {p}.", "This is the last time I order here.",
			"Not happy at all with my {p}.", "The {p} looks nothing like the photos.", "Honestly, a waste of money.", "I had to send the {p} back.",
			"Second bad order in a row.", "The {p} stopped working within a week."},
		neutral: {"The {p} is okay.", "Got the {p} yesterday.", "The {p} does what it says.", "It is an average {p}.",
			"No strong feelings about the {p}.", "The {p} arrived, still testing it.", "Fine for the price.", "I bought the {p} as a gift."},
		happy: {"I love the {p}!", "Great {p}, exactly as described.", "The {p} is even nicer than in the pictures.", "Really pleased with this {p}.",
			"Best {p} I have owned.", "My family adores the {p}.", "Excellent quality, the {p} feels solid.", "What a lovely {p}.",
			"The {p} made my week.", "Five stars for the {p}."},
	},
	chinese: {
		sad: {"对这个{p}非常失望。", "{p}用了两天就坏了。", "{p}和图片完全不一样。", "再也不会在这里买了。", "{p}质量太差，退货了。",
			"浪费钱，不推荐{p}。", "连续两次买到有问题的商品。", "{p}有一股很重的味道。"},
		neutral: {"{p}还可以。", "昨天收到了{p}。", "{p}中规中矩。", "{p}一般般，对得起价格。", "买{p}送人的，还没用。", "{p}和描述差不多。"},
		happy: {"非常喜欢这个{p}！", "{p}质量很好，和描述一致。", "{p}比图片还好看。", "家人都很喜欢{p}。", "这是我买过最好的{p}。",
			"{p}超出预期，五星好评。", "{p}做工精致，很满意。", "回购很多次了，{p}一直很好。"},
	},
}

var aspects = [2][3][]string{
	english: {
		sad: {"Delivery took three weeks and nobody answered my emails.", "The box was crushed and a part was missing.", "Customer service was rude.",
			"The stitching is already coming apart.", "Far too expensive for what you get.", "The refund still has not arrived.",
			"It smells of chemicals.", "The size chart is wrong.", "The battery dies in an hour.", "They sent the wrong colour."},
		neutral: {"Delivery was on time.", "Packaging was plain.", "The colour is a bit different from the photo.", "Price is about the same as elsewhere.",
			"The manual could be clearer.", "Size is as expected.", "Took a few days to arrive."},
		happy: {"Delivery was quick and the packaging was careful.", "Customer service helped me within minutes.", "Good value for money.",
			"The material feels premium.", "Easy to set up.", "It fits perfectly.", "The colour is gorgeous.", "The battery lasts for days.",
			"They even added a handwritten note."},
	},
	chinese: {
		sad: {"物流等了三个星期，客服也不回复。", "包装破损，还少了配件。", "客服态度很差。", "价格太贵，不值。", "退款一直没到账。",
			"尺码不准，穿不上。", "颜色发错了。", "电池一个小时就没电了。"},
		neutral: {"物流按时。", "包装简单。", "颜色和图片略有差别。", "价格和别家差不多。", "说明书不太清楚。", "等了几天才到。"},
		happy:   {"物流很快，包装仔细。", "客服回复及时，态度好。", "性价比很高。", "材质手感很好。", "安装简单。", "尺寸正合适。", "颜色很漂亮。", "续航很久。"},
	},
}

var closings = [2][3][]string{
	english: {
		sad:     {"I want my money back.", "Will shop elsewhere.", "Please fix this.", "Never again.", "Avoid."},
		neutral: {"We will see.", "Nothing special.", "Might order again.", "That is all."},
		happy:   {"Will buy again.", "Highly recommended.", "Thank you!", "Already told my friends.", "Keep it up."},
	},
	chinese: {
		sad:     {"要求退款。", "以后去别家买。", "请尽快处理。", "差评。"},
		neutral: {"再看看吧。", "没什么特别的。", "可能还会再来。"},
		happy:   {"会再来的。", "强烈推荐。", "谢谢店家！", "已经推荐给朋友。"},
	},
}

// feedbackText writes a text about a product whose tone follows sentiment (-1..1).
func feedbackText(r *rand.Rand, lang int, productName string, sentiment float64) string {
	tone := func() int {
		s := sentiment + 0.25*r.NormFloat64()
		switch {
		case s < -0.25:
			return sad
		case s > 0.25:
			return happy
		}
		return neutral
	}
	var b strings.Builder
	first := openings[lang][tone()]
	b.WriteString(strings.ReplaceAll(first[r.IntN(len(first))], "{p}", productName))
	space := " "
	if lang == chinese {
		space = ""
	}
	second := aspects[lang][tone()]
	b.WriteString(space + second[r.IntN(len(second))])
	if r.Float64() < 0.5 {
		last := closings[lang][tone()]
		b.WriteString(space + last[r.IntN(len(last))])
	}
	return b.String()
}

// searchQuery writes what a customer types when looking for a product.
func searchQuery(r *rand.Rand, lang int, c *catalogue, p *product) string {
	d := c.categories[p.category]
	noun := d.nouns[r.IntN(len(d.nouns))][lang]
	switch r.IntN(5) {
	case 0:
		return strings.ToLower(p.name[lang])
	case 1:
		if lang == chinese {
			return noun + "推荐"
		}
		return "best " + strings.ToLower(noun)
	case 2:
		if lang == chinese {
			return "便宜的" + noun
		}
		return "cheap " + strings.ToLower(noun)
	case 3:
		return strings.ToLower(d.name[lang])
	}
	return strings.ToLower(noun)
}
