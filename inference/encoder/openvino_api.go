package encoder

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// openvinoAPI is the part of OpenVINO's C API in use. Only opaque pointers, C strings
// and the two words of ov_shape_t (rank, dims; passed by value, so as two arguments)
// cross the border: no structure of a particular release.
type openvinoAPI struct {
	coreCreate  func(core *uintptr) int32
	readModel   func(core uintptr, graph string, weights uintptr, model *uintptr) int32
	compile     func(core, model uintptr, device string, words uintptr, compiled *uintptr, k0, v0, k1, v1, k2, v2, k3, v3 string) int32
	getProperty func(compiled uintptr, key string, value *unsafe.Pointer) int32
	newRequest  func(compiled uintptr, request *uintptr) int32
	getTensor   func(request uintptr, name string, tensor *uintptr) int32
	setShape    func(tensor uintptr, rank int64, dims *int64) int32
	tensorSize  func(tensor uintptr, elements *uintptr) int32
	tensorData  func(tensor uintptr, data *unsafe.Pointer) int32
	infer       func(request uintptr) int32
	cancel      func(request uintptr) int32
	version     func(v *openvinoVersion) int32
	versionFree func(v *openvinoVersion)
	lastError   func() string

	freeText     func(unsafe.Pointer)
	freeTensor   func(uintptr)
	freeRequest  func(uintptr)
	freeCompiled func(uintptr)
	freeModel    func(uintptr)

	core  uintptr
	build string
}

type openvinoVersion struct{ build, _ *byte }

// compileProperties is the number of key-value pairs that compile passes.
const compileProperties = 4

// The library is opened once a process: it keeps threads and cannot be unloaded.
var openvinoOnce struct {
	sync.Mutex
	path string
	api  *openvinoAPI
}

func loadOpenVINO(path string) (*openvinoAPI, error) {
	o := &openvinoOnce
	o.Lock()
	defer o.Unlock()
	if o.api != nil {
		if o.path != path {
			return nil, fmt.Errorf("library %s: %s is open already, a process has one", path, o.path)
		}
		return o.api, nil
	}
	a, err := newOpenVINO(path)
	if err != nil {
		return nil, err
	}
	o.path, o.api = path, a
	return a, nil
}

func newOpenVINO(path string) (*openvinoAPI, error) {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("library %s: %w: %w", path, err, ErrUnavailable)
	}
	a := &openvinoAPI{}
	if err := a.bind(h); err != nil {
		return nil, fmt.Errorf("library %s: %w: %w", path, err, ErrUnavailable)
	}
	if err := a.check("creating core", a.coreCreate(&a.core)); err != nil {
		return nil, err
	}
	var v openvinoVersion
	if err := a.check("reading version", a.version(&v)); err != nil {
		return nil, err
	}
	a.build = cString(unsafe.Pointer(v.build))
	a.versionFree(&v)
	return a, nil
}

func (a *openvinoAPI) bind(lib uintptr) error {
	for _, f := range []struct {
		fn   any
		name string
	}{
		{&a.coreCreate, "ov_core_create"}, {&a.readModel, "ov_core_read_model"}, {&a.compile, "ov_core_compile_model"},
		{&a.getProperty, "ov_compiled_model_get_property"}, {&a.newRequest, "ov_compiled_model_create_infer_request"},
		{&a.getTensor, "ov_infer_request_get_tensor"}, {&a.setShape, "ov_tensor_set_shape"},
		{&a.tensorSize, "ov_tensor_get_size"}, {&a.tensorData, "ov_tensor_data"},
		{&a.infer, "ov_infer_request_infer"}, {&a.cancel, "ov_infer_request_cancel"},
		{&a.version, "ov_get_openvino_version"}, {&a.versionFree, "ov_version_free"}, {&a.lastError, "ov_get_last_err_msg"},
		{&a.freeText, "ov_free"}, {&a.freeTensor, "ov_tensor_free"}, {&a.freeRequest, "ov_infer_request_free"},
		{&a.freeCompiled, "ov_compiled_model_free"}, {&a.freeModel, "ov_model_free"},
	} {
		p, err := purego.Dlsym(lib, f.name)
		if err != nil {
			return err
		}
		purego.RegisterFunc(f.fn, p)
	}
	return nil
}

// check turns a status into an error. The message is the library's last one.
func (a *openvinoAPI) check(doing string, status int32) error {
	if status == 0 {
		return nil
	}
	msg := a.lastError()
	if msg == "" {
		msg = "no message"
	}
	return fmt.Errorf("%s: openvino status %d: %w", doing, status, errors.New(msg))
}

func (a *openvinoAPI) property(compiled uintptr, key string) (string, error) {
	var p unsafe.Pointer
	if err := a.check("reading property "+key, a.getProperty(compiled, key, &p)); err != nil {
		return "", err
	}
	defer a.freeText(p)
	return cString(p), nil
}

func cString(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
