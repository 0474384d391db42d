package score

import (
	"context"
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/inference/heads"
)

var errNoEncoder = errors.New("scoring: there is no encoder")

// Returns gives the probabilities of a purchase within the spans of the bundle's
// heads.Model.Returns: one slice a span, one element a row of a record of
// schemas.WindowRows. It is empty where the bundle has no such heads. They need the
// encoder: with none, or where it fails, there is an error.
func (s *Scorer) Returns(ctx context.Context, rec arrow.Record) ([][]float64, error) {
	if len(s.model.Returns) == 0 {
		return nil, nil
	}
	if s.embedder == nil {
		return nil, errNoEncoder
	}
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	if err := w.bind(rec); err != nil {
		return nil, err
	}
	defer w.release()
	if err := w.embed(ctx, s.embedder); err != nil {
		return nil, err
	}
	out := make([][]float64, len(s.model.Returns))
	for k := range out {
		out[k] = make([]float64, w.rows)
	}
	for lo := 0; lo < w.rows; lo += blockRows {
		hi := min(lo+blockRows, w.rows)
		if err := w.inputs(&s.model.Full, lo, hi, true); err != nil {
			return nil, err
		}
		for k := range out {
			s.model.Returns[k].Probabilities(&w.x, out[k][lo:hi])
		}
	}
	return out, nil
}

// inputs fills w.x with the inputs of some rows: numbers, and in full what the
// encoder reads.
func (w *work) inputs(set *heads.Set, lo, hi int, full bool) error {
	w.x.Resize(hi-lo, set.Cols)
	if err := w.table.Fill(w.s.model.Standard, lo, hi, w.x.Data, w.x.Stride); err != nil {
		return err
	}
	if full {
		for i := lo; i < hi; i++ {
			w.read(w.x.Row(i-lo), i)
		}
	}
	return nil
}
