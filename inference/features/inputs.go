package features

import (
	"strconv"

	"github.com/zeebo/xxh3"

	"profilestream/schemas"
)

type op uint8

const (
	opLog    op = iota // sign(a) log(1+|a|)
	opNull             // 1 where a is NULL
	opTenure           // log(1 + days from a, a time, to as_of)
	opShare            // (a + 1/2) / (b + 1): part of a longer window in a shorter one
	opPer              // signed log of a per b; 0 where b is 0
	opOver             // log(1+a) - log(1+b); NULL where either is
	opRate             // log(1 + a a year), b being the first_seen time

	// Of the lifetime models, in the order of expectations; a is the number of
	// orders.
	opSilent   // log-odds of no purchase in the horizon
	opRhythm   // log of the purchases a week while alive
	opExpected // log(1 + purchases expected in the horizon)
	opAmount   // log(1 + expected amount of a purchase)
	opSpend    // log(1 + expected spend in the horizon)
)

// Input is one column of the matrix that the heads read.
type Input struct {
	// Name is unique and stable: a bundle lists the names it was trained on.
	Name string
	// Feature is the feature of schemas.Features, or LifetimeFeature, that an
	// effect of this input is reported under.
	Feature string
	op      op
	a, b    int
}

// Inputs lists the columns in order.
var Inputs = list()

// firstWindow is the shortest window that becomes an input.
const firstWindow = schemas.Window7d

func list() []Input {
	var in []Input
	add := func(prefix string, o op, a, b int) {
		f := schemas.Features[a].Name
		name := prefix + f
		if b >= 0 && o != opRate {
			name += "." + schemas.Features[b].Name
		}
		in = append(in, Input{Name: name, Feature: f, op: o, a: a, b: b})
	}
	for i, f := range schemas.Features {
		switch {
		case f.Window >= 0 && f.Window < firstWindow:
		case i == schemas.Life(schemas.FirstSeen):
			add("tenure.", opTenure, i, -1)
		case f.Type == schemas.Time:
			// last_seen and last_order_at are read through days_since_*.
		default:
			add("log.", opLog, i, -1)
			if f.Nullable {
				add("null.", opNull, i, -1)
			}
		}
	}
	shares := []int{schemas.Orders, schemas.Revenue, schemas.ActiveDays, schemas.PageViews}
	for _, m := range shares {
		for w := firstWindow; w < schemas.NumWindows-1; w++ {
			add("share.", opShare, schemas.At(w, m), schemas.At(w+1, m))
		}
	}
	const year = schemas.Window365d
	first := schemas.Life(schemas.FirstSeen)
	add("per.", opPer, schemas.At(year, schemas.Revenue), schemas.At(year, schemas.Orders))
	add("per.", opPer, schemas.At(year, schemas.Items), schemas.At(year, schemas.Orders))
	add("per.", opPer, schemas.At(year, schemas.Refunds), schemas.At(year, schemas.Orders))
	add("per.", opPer, schemas.At(schemas.Window30d, schemas.CartAdds), schemas.At(schemas.Window30d, schemas.Orders))
	add("over.", opOver, schemas.Life(schemas.DaysSinceLastOrder), schemas.Life(schemas.MeanOrderGapDays))
	add("over.", opOver, schemas.Life(schemas.DaysSinceLastOrder), schemas.Life(schemas.DaysSinceLastEvent))
	add("rate.", opRate, schemas.Life(schemas.OrdersTotal), first)
	add("rate.", opRate, schemas.Life(schemas.RevenueTotal), first)
	add("rate.", opRate, schemas.Life(schemas.EventsTotal), first)
	for k, name := range []string{"silent", "rhythm", "expected", "amount", "spend"} {
		in = append(in, Input{Name: "lifetime." + name, Feature: LifetimeFeature, op: opSilent + op(k), a: schemas.Life(schemas.OrdersTotal), b: -1})
	}
	return in
}

// firstLifetime is the position of the first lifetime input; they are the last.
var firstLifetime = len(Inputs) - len(expectations{})

// Names lists the names of the inputs in order.
func Names() []string {
	names := make([]string, len(Inputs))
	for i, in := range Inputs {
		names[i] = in.Name
	}
	return names
}

// Hash identifies the inputs and the feature list they derive from.
func Hash() string {
	h := xxh3.New()
	_, _ = h.WriteString(schemas.FeatureHash())
	for _, in := range Inputs {
		_, _ = h.WriteString("\n" + in.Name + " " + strconv.Itoa(int(in.op)))
	}
	return strconv.FormatUint(h.Sum64(), 16)
}
