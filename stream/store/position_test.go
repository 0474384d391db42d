package store

import (
	"bytes"
	rand "math/rand/v2"
	"testing"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func TestDamagedPositionIsRefused(t *testing.T) {
	p := Position{Cluster: "abc", Topic: "profile.live.state", Partition: 7, Offset: 1 << 40, Check: 0xdeadbeef}
	whole := appendPosition(nil, p)
	if got, err := decodePosition(whole); err != nil || got != p {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			if _, err := decodePosition(b); err == nil {
				t.Fatalf("bit %d of byte %d makes no difference", bit, i)
			}
		}
		if _, err := decodePosition(whole[:i]); err == nil {
			t.Fatalf("cut to %d bytes", i)
		}
	}
}

// FuzzPosition decodes hostile bytes with a checksum that fits. What is accepted is written and read again as the same.
func FuzzPosition(f *testing.F) {
	whole := appendPosition(nil, Position{Cluster: "abc", Topic: "profile.live.state", Partition: 7, Offset: 1 << 40, Check: 5})
	f.Add(whole[:len(whole)-4])
	f.Add([]byte{positionVersion})
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := Checksum(body)
		p, err := decodePosition(append(bytes.Clone(body), byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)))
		if err != nil {
			return
		}
		if again, err := decodePosition(appendPosition(nil, p)); err != nil || again != p {
			t.Fatalf("%+v, then %+v, %v", p, again, err)
		}
	})
}
