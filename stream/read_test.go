package stream

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

// TestReadTable: the newest value of each key, without those that were removed; a
// record that cannot be read fails its own readers only.
func TestReadTable(t *testing.T) {
	c, err := wire.NewClient(wire.Config{Brokers: kafkatest.Fake(t).Addrs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.CreateTopics(t.Context(), compacted("numbers", 1, 1)); err != nil {
		t.Fatal(err)
	}
	b := new(wire.Builder)
	for _, r := range [][2]string{{"a", "1"}, {"b", "2"}, {"a", "3"}, {"broken", "?"}, {"c", "4"}, {"c", ""}} {
		value := []byte(r[1])
		if r[1] == "" {
			value = nil
		}
		b.Add(1, []byte(r[0]), value)
	}
	if _, err := c.NewProducer("numbers", 0, wire.ProducerConfig{}).Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	decode := func(key string, value []byte) (int, error) {
		n, err := strconv.Atoi(string(value))
		if err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		return n, err
	}
	got, next, err := ReadTable(t.Context(), c, "numbers", func(key string) bool { return key != "broken" }, decode)
	if d := cmp.Diff(map[string]int{"a": 3, "b": 2}, got); d != "" || next != 6 || err != nil {
		t.Errorf("to %d, %v: %s", next, err, d)
	}
	if _, _, err := ReadTable(t.Context(), c, "numbers", nil, decode); err == nil {
		t.Error("a broken record among the wanted ones is no error")
	}
}
