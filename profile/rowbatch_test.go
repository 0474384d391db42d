package profile

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
)

// TestGoldenDigests holds the digest's layout: it may not change while histories are compared.
func TestGoldenDigests(t *testing.T) {
	p := goldenPartition(t)
	p.TouchAll()
	for p.EmitLive(1 << 20) {
	}
	var got []uint64
	u := p.users["ann"]
	for _, asOf := range []int64{u.lastSeen(), dayEnd(20_000), dayEnd(20_002)} {
		if dayOf(asOf) < 20_003 {
			p.unfoldFrom(u, dayOf(asOf)+1)
		}
		p.compute(u, asOf)
		var digest uint64
		digest, p.encoded = p.row.digest(p.encoded, u.id, asOf)
		got = append(got, digest)
	}
	if want := "[3d34acb27eb2d2f0 90e0d6d76ed03328 458889137fe09623]"; fmt.Sprintf("%x", got) != want {
		t.Fatalf("digests %x, want %s", got, want)
	}
}

// TestRowsSurviveArrowMessages writes batches that reuse memory and reads them back.
func TestRowsSurviveArrowMessages(t *testing.T) {
	p := benchPartition(t)
	log := benchLog(50, 10, 40)
	for i := range log {
		if err := p.Apply(int64(i), &log[i]); err != nil {
			t.Fatal(err)
		}
		if p.Work(20_000); p.days.Bytes() < 20_000 {
			continue
		}
		before := p.days.Bytes()
		rec := p.days.Take()
		var b bytes.Buffer
		w := ipc.NewWriter(&b, ipc.WithSchema(rec.Schema()), ipc.WithZstd())
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := ipc.NewReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		back, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for c := range rec.Columns() {
			if x, y := fmt.Sprint(rec.Column(c)), fmt.Sprint(back.Column(c)); x != y {
				t.Fatalf("column %s:\n%s\n%s", rec.ColumnName(c), x, y)
			}
		}
		if size := recordBytes(rec); size < before/2 || size > before*2 {
			t.Fatalf("Bytes said %d, Arrow holds %d", before, size)
		}
		r.Release()
		p.days.Recycle(rec)
	}
}

func recordBytes(rec arrow.Record) (n int) {
	var add func(d arrow.ArrayData)
	add = func(d arrow.ArrayData) {
		for _, b := range d.Buffers() {
			if b != nil {
				n += b.Len()
			}
		}
		for _, c := range d.Children() {
			add(c)
		}
	}
	for _, c := range rec.Columns() {
		add(c.Data())
	}
	return n
}
