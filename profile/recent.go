package profile

import (
	"cmp"
	"strings"
	"unsafe"

	"github.com/zeebo/xxh3"

	"profilestream/schemas"
)

// Bytes kept of each string of a list entry, cut at a rune's start. The encoder reads 128
// tokens at most, so more would never be seen.
const (
	maxNameBytes     = 128
	maxFeedbackBytes = 512
)

// kindFeedback is the list kind of a feedback text; schemas has none, as it is no list there.
const kindFeedback uint8 = schemas.RecentAdClick + 1

// recentKinds is the number of kinds plus one.
const recentKinds = kindFeedback + 1

// newestK is how many distinct entries of each kind a user's lists hold.
var newestK = [recentKinds]int{
	schemas.RecentView: 5, schemas.RecentCart: 2, schemas.RecentPurchase: 5,
	schemas.RecentRefund: 1, schemas.RecentSearch: 2, schemas.RecentAdClick: 1, kindFeedback: 1,
}

// maxRecent is the length of a full list of all kinds.
const maxRecent = 5 + 2 + 5 + 1 + 2 + 1

// content is what a list entry shows: id, name and category. It is interned: equal contents of a
// partition are one. The strings lie in memory right behind it, in the same allocation, so that
// reading an entry costs one miss and the garbage collector has nothing to scan.
type content struct {
	hash                uint64 // of the strings and their lengths
	idEnd, nameEnd, end uint16 // of id, name and category in the text
}

const contentBytes = int(unsafe.Sizeof(content{}))

func newContent(hash uint64, id, name, category []byte) *content {
	n := len(id) + len(name) + len(category)
	words := make([]uint64, (contentBytes+n+7)/8)
	c := (*content)(unsafe.Pointer(&words[0]))
	c.hash = hash
	c.idEnd, c.nameEnd, c.end = uint16(len(id)), uint16(len(id)+len(name)), uint16(n)
	text := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), contentBytes)), n)
	copy(text[copy(text, id):], name)
	copy(text[len(id)+len(name):], category)
	return c
}

func (c *content) text() string {
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(c), contentBytes)), c.end)
}

func (c *content) id() string       { return c.text()[:c.idEnd] }
func (c *content) name() string     { return c.text()[c.idEnd:c.nameEnd] }
func (c *content) category() string { return c.text()[c.nameEnd:] }

func (c *content) compare(o *content) int {
	if c == o {
		return 0
	}
	return cmp.Or(strings.Compare(c.id(), o.id()),
		strings.Compare(c.name(), o.name()), strings.Compare(c.category(), o.category()))
}

// contents interns contents. An entry that no list holds any more is dropped by sweep.
type contents struct {
	byHash map[uint64]*content
	live   int // entries after the last sweep
	buf    []byte
}

func (t *contents) intern(kind uint8, id, name, category []byte) *content {
	most := maxNameBytes
	if kind == kindFeedback {
		most = maxFeedbackBytes
	}
	id, name, category = clip(id, maxNameBytes), clip(name, most), clip(category, maxNameBytes)
	return t.internClipped(id, name, category)
}

func (t *contents) internClipped(id, name, category []byte) *content {
	// Lengths stand before the strings, so that the hash tells ("a","b") from ("ab","").
	b := append(t.buf[:0], byte(len(id)), byte(len(id)>>8), byte(len(name)), byte(len(name)>>8))
	b = append(append(append(b, id...), name...), category...)
	t.buf = b
	text := b[4:]
	h := xxh3.Hash(b)
	for at := h; ; at++ {
		c, ok := t.byHash[at]
		if !ok {
			c = newContent(h, id, name, category)
			t.byHash[at] = c
			return c
		}
		if int(c.idEnd) == len(id) && int(c.nameEnd) == len(id)+len(name) && c.text() == string(text) {
			return c
		}
	}
}

// clip cuts s to at most n bytes, not inside a UTF-8 sequence.
func clip(s []byte, n int) []byte {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// entry is a content and its newest time. key orders by kind, then by time, newest first.
type entry struct {
	key uint64
	c   *content
}

const timeBits = 48

func newEntry(kind uint8, atMillis int64, c *content) entry {
	return entry{uint64(kind)<<timeBits | (1<<timeBits - 1 - uint64(atMillis)), c}
}

func (e entry) kind() uint8     { return uint8(e.key >> timeBits) }
func (e entry) atMillis() int64 { return int64(1<<timeBits - 1 - e.key&(1<<timeBits-1)) }

func (e entry) before(o entry) bool {
	return e.key < o.key || e.key == o.key && e.c != o.c && e.c.compare(o.c) < 0
}

// addRecent puts an entry into an ordered list: distinct contents, newest time of each, at
// most newestK of a kind. The result depends on the set of entries only.
func addRecent(list []entry, e entry) []entry {
	kind := e.kind()
	lo := 0
	for lo < len(list) && list[lo].kind() < kind {
		lo++
	}
	at, hi, old := -1, lo, -1
	for ; hi < len(list) && list[hi].kind() == kind; hi++ {
		if list[hi].c == e.c {
			old = hi
		}
		if at < 0 && e.before(list[hi]) {
			at = hi
		}
	}
	switch {
	case at < 0 && (old >= 0 || hi-lo >= newestK[kind]):
		return list // older than what is there
	case at < 0:
		at = hi
	case old >= 0 && old < at:
		return list
	}
	last := old // the entry to give way
	if old < 0 && hi-lo >= newestK[kind] {
		last = hi - 1
	}
	if last < 0 {
		list = append(list, entry{})
		last = len(list) - 1
	}
	copy(list[at+1:last+1], list[at:last])
	list[at] = e
	return list
}

// mergeRecent appends to dst (empty) the union of two ordered lists, cut to newestK of a kind.
func mergeRecent(dst, a, b []entry) []entry {
	from, kind, n := 0, uint8(0), 0 // the current kind: where it starts in dst, how many it has
	for len(a) > 0 || len(b) > 0 {
		var e entry
		if len(b) == 0 || len(a) > 0 && a[0].before(b[0]) {
			e, a = a[0], a[1:]
		} else {
			e, b = b[0], b[1:]
		}
		if k := e.kind(); k != kind {
			kind, from, n = k, len(dst), 0
		}
		if n < newestK[kind] && !holds(dst[from:], e.c) {
			dst = append(dst, e)
			n++
		}
	}
	return dst
}

func holds(list []entry, c *content) bool {
	for i := range list {
		if list[i].c == c {
			return true
		}
	}
	return false
}

// addEventRecent puts what the event shows into the day's lists. A view, cart or ad click is its
// product (an ad click's name is its campaign where it has one), a search its query, a purchase
// or refund its items.
func (p *LogPartition) addEventRecent(d *openDay, e *Event) {
	at := e.TimeMillis
	switch e.Type {
	case TypeProductView:
		p.addProduct(d, schemas.RecentView, at, &e.Product)
	case TypeAddToCart:
		p.addProduct(d, schemas.RecentCart, at, &e.Product)
	case TypePurchase:
		for i := range e.Items {
			p.addProduct(d, schemas.RecentPurchase, at, &e.Items[i])
		}
	case TypeRefund:
		for i := range e.Items {
			p.addProduct(d, schemas.RecentRefund, at, &e.Items[i])
		}
	case TypeSearch:
		if len(e.Query) > 0 {
			d.recent = addRecent(d.recent, newEntry(schemas.RecentSearch, at, p.contents.intern(schemas.RecentSearch, nil, e.Query, nil)))
		}
	case TypeAdClick:
		ad := e.Product
		if len(e.Campaign) > 0 {
			ad.Name = e.Campaign
		}
		p.addProduct(d, schemas.RecentAdClick, at, &ad)
	case TypeFeedback:
		d.feedback = newerFeedback(d.feedback, newEntry(kindFeedback, at, p.contents.intern(kindFeedback, nil, e.Text, nil)))
	}
}

func (p *LogPartition) addProduct(d *openDay, kind uint8, atMillis int64, pr *Product) {
	if len(pr.ID)+len(pr.Name)+len(pr.Category) > 0 {
		d.recent = addRecent(d.recent, newEntry(kind, atMillis, p.contents.intern(kind, pr.ID, pr.Name, pr.Category)))
	}
}

// newerFeedback returns the first of two feedbacks in list order; one without content is none.
func newerFeedback(a, b entry) entry {
	if a.c == nil || b.c != nil && b.before(a) {
		return b
	}
	return a
}
