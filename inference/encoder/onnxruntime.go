package encoder

import (
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

const onnxRuntimePattern = "libonnxruntime.so*"

// onnxRuntimeOnce guards the runtime's environment, of which a process has one.
var onnxRuntimeOnce struct {
	sync.Mutex
	path string
}

// onnxRuntimeModel is a session with the weights, used by all slots at once: Run is
// safe for concurrent use and works on its caller's thread.
type onnxRuntimeModel struct {
	session *ort.DynamicAdvancedSession
	mu      sync.Mutex
	users   int
}

type onnxRuntimeSession struct {
	model *onnxRuntimeModel
	mu    sync.Mutex
	run   *ort.RunOptions // of the running infer, nil when idle
}

func openONNXRuntime(graph, library string, threads int) ([]session, string, error) {
	path, err := findLibrary(library, onnxRuntimePattern)
	if err != nil {
		return nil, "", err
	}
	if err := loadONNXRuntime(path); err != nil {
		return nil, "", err
	}
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = o.Destroy() }()
	for _, set := range []func() error{
		func() error { return o.SetIntraOpNumThreads(1) },
		func() error { return o.SetInterOpNumThreads(1) },
		func() error { return o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll) },
		func() error { return o.SetLogSeverityLevel(ort.LoggingLevelError) },
	} {
		if err := set(); err != nil {
			return nil, "", fmt.Errorf("setting session options: %w", err)
		}
	}
	s, err := ort.NewDynamicAdvancedSession(graph, []string{"input_ids", "attention_mask"}, []string{"embedding"}, o)
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", graph, err)
	}
	m := &onnxRuntimeModel{session: s, users: threads}
	sessions := make([]session, threads)
	for i := range sessions {
		sessions[i] = &onnxRuntimeSession{model: m}
	}
	return sessions, ort.GetVersion(), nil
}

func loadONNXRuntime(path string) error {
	o := &onnxRuntimeOnce
	o.Lock()
	defer o.Unlock()
	if ort.IsInitialized() {
		if o.path != path {
			return fmt.Errorf("library %s: %s is open already, a process has one", path, o.path)
		}
		return nil
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(); err != nil {
		return fmt.Errorf("library %s: %w: %w", path, err, ErrUnavailable)
	}
	o.path = path
	return nil
}

func (s *onnxRuntimeSession) infer(ids, mask []int64, rows, seq int) (out []float32, err error) {
	shape := ort.NewShape(int64(rows), int64(seq))
	in, err := ort.NewTensor(shape, ids)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Destroy() }()
	m, err := ort.NewTensor(shape, mask)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Destroy() }()
	opts, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer s.end(opts)
	outputs := []ort.Value{nil}
	if err := s.model.session.RunWithOptions([]ort.Value{in, m}, outputs, opts); err != nil {
		return nil, err
	}
	defer func() { _ = outputs[0].Destroy() }()
	t, ok := outputs[0].(*ort.Tensor[float32])
	if !ok {
		return nil, fmt.Errorf("embedding has type %T, want float32", outputs[0])
	}
	return append([]float32(nil), t.GetData()...), nil
}

func (s *onnxRuntimeSession) begin() (*ort.RunOptions, error) {
	o, err := ort.NewRunOptions()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.run = o
	s.mu.Unlock()
	return o, nil
}

func (s *onnxRuntimeSession) end(o *ort.RunOptions) {
	s.mu.Lock()
	s.run = nil
	s.mu.Unlock()
	_ = o.Destroy()
}

func (s *onnxRuntimeSession) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil {
		_ = s.run.Terminate()
	}
}

func (s *onnxRuntimeSession) close() error {
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	s.model.users--
	if s.model.users > 0 {
		return nil
	}
	return s.model.session.Destroy()
}
