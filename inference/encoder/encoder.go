package encoder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"profilestream/inference/onnx"
)

// Encoder turns token ids into vectors.
type Encoder interface {
	// Encode returns one vector of Dim values for each row of batch, in order. A row
	// is [CLS] ... [SEP], without padding.
	Encode(ctx context.Context, batch [][]int32) ([][]float32, error)
	// Version names runtime, its version, precision and instruction set: vectors of
	// equal versions and weights are equal.
	Version() string
	// Dim is the length of a vector.
	Dim() int
	// Slots is the number of batches that can be encoded at once.
	Slots() int
	// BatchTokens is the number of tokens, with padding, of the batches that are encoded
	// fastest. Larger ones work.
	BatchTokens() int
	Close() error
}

// Errors a caller may branch on.
var (
	// ErrInput: a row this model cannot encode; no retry helps.
	ErrInput = errors.New("row cannot be encoded")
	// ErrNotFinite: the runtime returned NaN or an infinity.
	ErrNotFinite = errors.New("vector is not finite")
	// ErrClosed: the encoder was closed.
	ErrClosed = errors.New("encoder is closed")
	// ErrUnavailable: a library, or a precision the CPU lacks.
	ErrUnavailable = errors.New("not available on this machine")
)

// Runtimes and precisions of Config; empty means auto.
const (
	Auto        = "auto"
	OpenVINO    = "openvino"
	ONNXRuntime = "onnxruntime"
	BF16        = "bf16"
	F32         = "f32"
)

// Config selects and sizes an encoder.
type Config struct {
	Dir       string // folder with encoder.onnx and encoder.json
	Device    string // cpu
	Runtime   string // auto, openvino, onnxruntime
	Precision string // auto, bf16, f32
	Threads   int    // 0: one a CPU this process may use
	Library   string // path of the runtime's shared library; empty: the cache folder
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	if c.Dir == "" {
		return errors.New("model.dir: empty")
	}
	if c.Device != "" && c.Device != "cpu" && c.Device != Auto {
		return fmt.Errorf("model.device: %q, want cpu", c.Device)
	}
	switch c.Runtime {
	case "", Auto, OpenVINO, ONNXRuntime:
	default:
		return fmt.Errorf("model.runtime: %q, want auto, openvino or onnxruntime", c.Runtime)
	}
	switch c.Precision {
	case "", Auto, BF16, F32:
	default:
		return fmt.Errorf("model.precision: %q, want auto, bf16 or f32", c.Precision)
	}
	if c.Threads < 0 || c.Threads > 1024 {
		return fmt.Errorf("model.threads: %d is outside 0..1024", c.Threads)
	}
	return nil
}

// Open loads the graph of c.Dir and encodes one short row to prove that it works.
func Open(c Config) (Encoder, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	facts, err := onnx.ReadFacts(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening encoder: %w", err)
	}
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	precision, err := choosePrecision(c.Precision, c.Runtime)
	if err != nil {
		return nil, fmt.Errorf("opening encoder: model.precision: %w", err)
	}
	name := chooseRuntime(c.Runtime, precision)
	graph := filepath.Join(c.Dir, onnx.GraphFile)
	var sessions []session
	var version string
	switch name {
	case OpenVINO:
		sessions, version, err = openOpenVINO(graph, c.Library, precision, c.Threads)
	case ONNXRuntime:
		sessions, version, err = openONNXRuntime(graph, c.Library, c.Threads)
	}
	if err != nil {
		return nil, fmt.Errorf("opening encoder %s: %w", name, err)
	}
	p := newPool(sessions, facts, batchTokens(precision), fmt.Sprintf("%s-%s-%s-%s", name, version, precision, instructionSet()))
	if _, err := p.Encode(context.Background(), [][]int32{{0, 0}}); err != nil {
		return nil, errors.Join(fmt.Errorf("opening encoder %s: trial row: %w", name, err), p.Close())
	}
	return p, nil
}

// choosePrecision takes f32 unless bf16 is asked for: it is nearly twice as fast
// but less exact than the 0.9999 of cosine that vectors are held to. Where the CPU
// does not multiply it in hardware it is refused, for it would be slower, too.
func choosePrecision(want, runtime string) (string, error) {
	switch {
	case want != BF16:
		return F32, nil
	case runtime == ONNXRuntime:
		return "", fmt.Errorf("bf16 asked for, but onnxruntime encodes in f32 only: %w", ErrUnavailable)
	case !hasBF16():
		return "", fmt.Errorf("bf16 asked for, but this CPU has neither avx512_bf16 nor amx_bf16: %w", ErrUnavailable)
	}
	return BF16, nil
}
