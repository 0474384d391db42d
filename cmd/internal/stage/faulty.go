package stage

import (
	"context"
	"errors"

	"profilestream/inference/encoder"
	"profilestream/stream/failpoint"
)

// faulty is an encoder that fails or hangs where a test asks for it; without
// such a fault each call costs two loads.
type faulty struct{ encoder.Encoder }

var errFault = errors.New("the encoder fails, as the test asks")

// Encode encodes, unless a fault is due.
func (f faulty) Encode(ctx context.Context, batch [][]int32) ([][]float32, error) {
	if err := ctx.Err(); err != nil { // a batch beside one that failed: no chance of its own
		return nil, err
	}
	if failpoint.Due("encoder.fail") {
		return nil, errFault
	}
	if failpoint.Due("encoder.hang") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.Encoder.Encode(ctx, batch)
}
