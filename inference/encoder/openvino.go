package encoder

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"
)

// openvinoPattern finds the C library; the others lie beside it.
const openvinoPattern = "openvino/libopenvino_c.so*"

// openvinoModel is a compiled model shared by the requests of its streams.
type openvinoModel struct {
	api      *openvinoAPI
	compiled uintptr
	users    atomic.Int32
}

// openvinoSession is one infer request: one stream, one thread.
type openvinoSession struct {
	model   *openvinoModel
	request uintptr
}

// openOpenVINO compiles the graph with as many one-thread streams as threads, which
// encode more than one stream of many threads: batches need no barrier after each layer.
func openOpenVINO(graph, library, precision string, threads int) ([]session, string, error) {
	path, err := findLibrary(library, openvinoPattern)
	if err != nil {
		return nil, "", err
	}
	runtime.LockOSThread() // the last error belongs to the thread
	defer runtime.UnlockOSThread()
	api, err := loadOpenVINO(path)
	if err != nil {
		return nil, "", err
	}
	m, err := compileOpenVINO(api, graph, precision, threads)
	if err != nil {
		return nil, "", err
	}
	var sessions []session
	for range threads {
		s := &openvinoSession{model: m}
		if err := api.check("creating request", api.newRequest(m.compiled, &s.request)); err != nil {
			for _, made := range sessions {
				err = errors.Join(err, made.close())
			}
			return nil, "", err
		}
		m.users.Add(1)
		sessions = append(sessions, s)
	}
	return sessions, release(api.build), nil
}

func compileOpenVINO(api *openvinoAPI, graph, precision string, threads int) (*openvinoModel, error) {
	var model uintptr
	if err := api.check("reading "+graph, api.readModel(api.core, graph, 0, &model)); err != nil {
		return nil, err
	}
	defer api.freeModel(model)
	m := &openvinoModel{api: api}
	n := strconv.Itoa(threads)
	// Pinning would put the streams of two processes on the same cores.
	status := api.compile(api.core, model, "CPU", 2*compileProperties, &m.compiled,
		"INFERENCE_PRECISION_HINT", precision, "INFERENCE_NUM_THREADS", n, "NUM_STREAMS", n, "ENABLE_CPU_PINNING", "NO")
	if err := api.check("compiling "+graph, status); err != nil {
		return nil, err
	}
	got, err := api.property(m.compiled, "INFERENCE_PRECISION_HINT")
	if want := map[string]string{BF16: "bf16", F32: "f32"}[precision]; err == nil && !strings.EqualFold(got, want) {
		err = fmt.Errorf("compiling %s: openvino chose precision %s, want %s", graph, got, want)
	}
	if err != nil {
		api.freeCompiled(m.compiled)
		return nil, err
	}
	return m, nil
}

func (s *openvinoSession) infer(ids, mask []int64, rows, seq int) ([]float32, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	api := s.model.api
	if err := s.put("input_ids", ids, rows, seq); err != nil {
		return nil, err
	}
	if err := s.put("attention_mask", mask, rows, seq); err != nil {
		return nil, err
	}
	if err := api.check("inferring", api.infer(s.request)); err != nil {
		return nil, err
	}
	var tensor, size uintptr
	if err := api.check("getting embedding", api.getTensor(s.request, "embedding", &tensor)); err != nil {
		return nil, err
	}
	defer api.freeTensor(tensor)
	var data unsafe.Pointer
	if err := api.check("sizing embedding", api.tensorSize(tensor, &size)); err != nil {
		return nil, err
	}
	if err := api.check("reading embedding", api.tensorData(tensor, &data)); err != nil {
		return nil, err
	}
	out := make([]float32, size)
	copy(out, unsafe.Slice((*float32)(data), size))
	return out, nil
}

func (s *openvinoSession) put(name string, v []int64, rows, seq int) error {
	api := s.model.api
	var tensor uintptr
	if err := api.check("getting "+name, api.getTensor(s.request, name, &tensor)); err != nil {
		return err
	}
	defer api.freeTensor(tensor)
	dims := [2]int64{int64(rows), int64(seq)}
	if err := api.check("shaping "+name, api.setShape(tensor, 2, &dims[0])); err != nil {
		return err
	}
	var data unsafe.Pointer
	if err := api.check("writing "+name, api.tensorData(tensor, &data)); err != nil {
		return err
	}
	copy(unsafe.Slice((*int64)(data), len(v)), v)
	return nil
}

// cancel has no effect on an idle request.
func (s *openvinoSession) cancel() { s.model.api.cancel(s.request) }

func (s *openvinoSession) close() error {
	s.model.api.freeRequest(s.request)
	if s.model.users.Add(-1) == 0 {
		s.model.api.freeCompiled(s.model.compiled)
	}
	return nil
}

// release shortens a build such as 2026.4.1-22982-e213a147257-releases/2026/4 to its
// version and number.
func release(build string) string {
	f := strings.SplitN(build, "-", 3)
	return strings.Join(f[:min(2, len(f))], "-")
}
