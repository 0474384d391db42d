package train

import "strings"

// Words of the baseline that a head for sentiment has to beat: the count of good
// words less that of bad ones, in English and Chinese.
var (
	goodWords = []string{"good", "great", "love", "excellent", "perfect", "happy", "pleased", "nice", "best", "lovely", "adore", "recommend",
		"thank", "quick", "easy", "gorgeous", "premium", "five stars", "喜欢", "很好", "满意", "好评", "推荐", "谢谢", "超出预期", "漂亮", "精致", "不错"}
	badWords = []string{"bad", "broke", "disappoint", "waste", "poor", "terrible", "awful", "refund", "return", "rude", "wrong", "never", "missing",
		"late", "crushed", "expensive", "stopped", "not happy", "avoid", "失望", "坏", "差", "退", "不推荐", "浪费", "破损", "太贵", "不准", "不值", "没电"}
)

// wordMood is a probability of a good mood from the words of a text: .5 where the
// list says nothing.
func wordMood(text string) float64 {
	text = strings.ToLower(text)
	n := 0
	for _, w := range goodWords {
		n += strings.Count(text, w)
	}
	for _, w := range badWords {
		n -= strings.Count(text, w)
	}
	return .5 + .5*float64(max(-4, min(4, n)))/5
}
