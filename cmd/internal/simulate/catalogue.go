package simulate

import (
	"fmt"
	"math/rand/v2"
)

// product is one article of the shop; names by language, price in cents.
type product struct {
	id       string
	name     [2]string
	category int
	cents    int64
}

// catalogue is the shop's range: products grouped by category, most popular first.
type catalogue struct {
	categories []categoryData
	products   [][]product
}

const productsPerCategory = 48

// newCatalogue draws the range from r; the same r gives the same range.
func newCatalogue(r *rand.Rand) *catalogue {
	c := &catalogue{categories: categoryTable, products: make([][]product, len(categoryTable))}
	for i, d := range categoryTable {
		combos := len(d.nouns) * len(adjectiveTable)
		order := r.Perm(combos)
		n := min(productsPerCategory, combos)
		list := make([]product, 0, n)
		for k := range n {
			noun, adj := d.nouns[order[k]%len(d.nouns)], adjectiveTable[order[k]/len(d.nouns)]
			span := float64(d.maxCents - d.minCents)
			u := r.Float64()
			cents := d.minCents + int64(span*u*u*u)
			cents = cents/100*100 + []int64{99, 95, 50, 0}[r.IntN(4)]
			list = append(list, product{
				id:       fmt.Sprintf("%s%04d", d.code, 1000+k*7),
				name:     [2]string{adj[0] + " " + noun[0], adj[1] + noun[1]},
				category: i,
				cents:    max(cents, 50),
			})
		}
		c.products[i] = list
	}
	return c
}

// pick draws a product of a category; low ranks are much more popular.
func (c *catalogue) pick(r *rand.Rand, category int) *product {
	list := c.products[category]
	u := r.Float64()
	return &list[int(u*u*float64(len(list)))]
}

// pickNear draws the product nearest to a price out of a handful of draws.
func (c *catalogue) pickNear(r *rand.Rand, category int, cents float64) *product {
	best := c.pick(r, category)
	for range 5 {
		p := c.pick(r, category)
		if abs(float64(p.cents)-cents) < abs(float64(best.cents)-cents) {
			best = p
		}
	}
	return best
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}
