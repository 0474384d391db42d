package main

import (
	"fmt"
	"strconv"
	"time"
)

const (
	crowdDays = 3
	sendCrowd = 40_000 // records held at once
	visit     = 5      // events
)

// crowd is customers who come once each in some days, for a few events: much state of which
// little is used. It goes round for as long as it is asked.
type crowd struct {
	s     *session
	topic string
	feed  *feed
	users int
	sent  int
	at    float64 // ms since 1970 of the next visit
	step  float64 // ms between visits
	buf   []byte
}

func (s *session) crowd(users int) *crowd {
	s.number++
	topic := fmt.Sprintf("bench%d.clickstream", s.number)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &crowd{s: s, topic: topic, feed: s.feed(topic, 4), users: users,
		at: float64(start.UnixMilli()), step: crowdDays * 86_400_000 / float64(users)}
}

// send sends the events of n visits, in order of time.
func (c *crowd) send(n int) {
	for range n {
		n := c.sent / visit
		user := n * 7919 % c.users // each once a round: 7919 is a prime that divides no round number of users
		at := int64(c.at)
		c.at += c.step
		for i := range visit - 1 {
			c.add(user, at+int64(i)*50_000, "product_view", n+i)
		}
		c.add(user, at+visit*50_000, "add_to_cart", n)
		if c.sent%(sendCrowd/visit*visit) == 0 {
			c.feed.flush()
		}
		if c.sent%1_000_000 == 0 {
			c.s.progress("sent %d records of a crowd", c.sent)
		}
	}
	c.feed.flush()
}

func (c *crowd) add(user int, at int64, kind string, product int) {
	product = product * 31 % 5000
	c.sent++
	b := append(c.buf[:0], `{"event_id":"0195c9d2-7c1e-7a3b-8f7e-`...)
	b = append(appendPadded(b, c.sent), `","user_id":"`...)
	b = append(appendUser(b, user), `","type":"`...)
	b = append(append(b, kind...), `","ts":`...)
	b = append(strconv.AppendInt(b, at, 10), `,"product":{"id":"sku-`...)
	b = append(strconv.AppendInt(b, int64(product), 10), `","name":"Blue enamel kettle number `...)
	b = append(strconv.AppendInt(b, int64(product), 10), `","category":"category-`...)
	b = append(strconv.AppendInt(b, int64(product%40), 10), `","price":12.99},"channel":"mail"}`...)
	c.buf = b
	c.feed.add(at, nil, b)
}

func appendUser(b []byte, user int) []byte {
	return appendPadded(append(b, "5f1d7a84-3ac6-4b3e-9d51-"...), user)
}

func appendPadded(b []byte, n int) []byte {
	digits := strconv.Itoa(n)
	for range 12 - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}

func (c *crowd) note() string {
	return fmt.Sprintf("%d users with a visit of %d events each within %d days", c.users, visit, crowdDays)
}
