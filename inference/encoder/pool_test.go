package encoder

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"profilestream/inference/onnx"
)

// session scripted by a test; every call of infer waits on gate if it is set.
type scripted struct {
	gate      chan struct{}
	out       func(rows, seq int) ([]float32, error)
	cancelled chan struct{}
	closed    bool
}

func (s *scripted) infer(_, _ []int64, rows, seq int) ([]float32, error) {
	if s.gate != nil {
		<-s.gate
	}
	return s.out(rows, seq)
}

func (s *scripted) cancel() {
	if s.cancelled != nil {
		close(s.cancelled)
	}
}

func (s *scripted) close() error { s.closed = true; return nil }

func ones(rows, _ int) ([]float32, error) {
	out := make([]float32, 2*rows)
	for i := range out {
		out[i] = 1
	}
	return out, nil
}

func testPool(s ...session) *pool {
	return newPool(s, onnx.Facts{Dim: 2, MaxPositions: 40, Vocabulary: 10}, 512, "test")
}

func TestHangCostsASlotNotTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{gate: make(chan struct{}), out: ones, cancelled: make(chan struct{})}
		p := testPool(s)
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := p.Encode(ctx, [][]int32{{1, 2}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v, want the deadline", err)
		}
		<-s.cancelled
		ctx2, stop2 := context.WithTimeout(t.Context(), time.Second)
		defer stop2()
		if _, err := p.Encode(ctx2, [][]int32{{1, 2}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v while the slot hangs, want the deadline", err)
		}
		close(s.gate)
		if _, err := p.Encode(t.Context(), [][]int32{{1, 2}}); err != nil {
			t.Fatalf("after the hang: %v", err)
		}
		if err := p.Close(); err != nil || !s.closed {
			t.Errorf("close: %v, session closed %v", err, s.closed)
		}
		if _, err := p.Encode(t.Context(), [][]int32{{1, 2}}); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v after Close", err)
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	p := testPool(&scripted{out: ones})
	for name, rows := range map[string][][]int32{
		"empty row": {{}}, "one token": {{1}}, "too long": {make([]int32, 41)}, "negative id": {{1, -1}}, "id beyond vocabulary": {{1, 2}, {3, 10}},
	} {
		if _, err := p.Encode(t.Context(), rows); !errors.Is(err, ErrInput) {
			t.Errorf("%s: error %v, want ErrInput", name, err)
		}
	}
	if v, err := p.Encode(t.Context(), nil); v != nil || err != nil {
		t.Errorf("no rows: %v, %v", v, err)
	}
}

func TestPaddingStopsAtPositions(t *testing.T) {
	var seq int
	p := testPool(&scripted{out: func(rows, n int) ([]float32, error) { seq = n; return ones(rows, n) }})
	for n, want := range map[int]int{2: 16, 16: 16, 17: 32, 33: 40, 40: 40} {
		if _, err := p.Encode(t.Context(), [][]int32{make([]int32, n)}); err != nil || seq != want {
			t.Errorf("%d tokens were padded to %d, want %d (%v)", n, seq, want, err)
		}
	}
}

func TestBadOutputIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		out  []float32
		want error
	}{
		"nan": {[]float32{1, float32(math.NaN())}, ErrNotFinite}, "infinity": {[]float32{float32(math.Inf(1)), 0}, ErrNotFinite}, "short": {[]float32{1}, nil},
	} {
		p := testPool(&scripted{out: func(int, int) ([]float32, error) { return c.out, nil }})
		if _, err := p.Encode(t.Context(), [][]int32{{1, 2}}); err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func TestPrecisionIsNeverAGuess(t *testing.T) {
	able := hasBF16()
	for _, c := range []struct {
		want, runtime, got string
		fails              bool
	}{
		{F32, Auto, F32, false}, {F32, ONNXRuntime, F32, false}, {Auto, ONNXRuntime, F32, false}, {BF16, ONNXRuntime, "", true},
		{Auto, OpenVINO, F32, false}, {BF16, OpenVINO, map[bool]string{true: BF16}[able], !able},
	} {
		got, err := choosePrecision(c.want, c.runtime)
		if got != c.got || (err != nil) != c.fails || (c.fails && !errors.Is(err, ErrUnavailable)) {
			t.Errorf("precision %s on %s: %q, %v; want %q", c.want, c.runtime, got, err, c.got)
		}
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for key, c := range map[string]Config{
		"model.dir": {}, "model.device": {Dir: "x", Device: "tpu"}, "model.runtime": {Dir: "x", Runtime: "torch"},
		"model.precision": {Dir: "x", Precision: "int8"}, "model.threads": {Dir: "x", Threads: -1},
	} {
		if _, err := Open(c); err == nil || !contains(err, key) {
			t.Errorf("%s: error %v does not name the key", key, err)
		}
	}
}
