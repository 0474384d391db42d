package chdb

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// handle is a pointer that the library gave out and only the library follows.
type handle = uintptr

// Library is a loaded libchdb. A process loads it once: its engine is a singleton with one data folder.
type Library struct {
	connecting sync.Mutex

	version  func() string
	shutdown func() int32
	connect  func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closing  func(conn unsafe.Pointer)
	classify func(conn handle, sql unsafe.Pointer, sqlLen uintptr, db unsafe.Pointer, dbLen uintptr, out unsafe.Pointer) int32

	query       func(conn handle, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr) handle
	queryWith   func(conn handle, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) handle
	stream      func(conn handle, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr) handle
	streamWith  func(conn handle, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) handle
	streamFetch func(conn, result handle) handle
	streamStop  func(conn, result handle)

	resultError        func(result handle) string
	resultBuffer       func(result handle) unsafe.Pointer
	resultLen          func(result handle) uintptr
	resultElapsed      func(result handle) float64
	resultStorageRows  func(result handle) uint64
	resultStorageBytes func(result handle) uint64
	resultWrittenRows  func(result handle) uint64
	resultWrittenBytes func(result handle) uint64
	resultDestroy      func(result handle)

	insert        func(conn handle, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr) handle
	insertAppend  func(stream handle, data unsafe.Pointer, dataLen uintptr) int32
	insertDone    func(stream handle) handle
	insertCancel  func(stream handle)
	insertError   func(stream handle) string
	insertDestroy func(stream handle)

	sigaction func(signal int32, act, old unsafe.Pointer) int32
}

// Load opens the library file.
func Load(path string) (*Library, error) {
	engine, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("loading the ClickHouse engine %s: %w", path, err)
	}
	libc, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("loading the C library: %w", err)
	}
	l := &Library{}
	if err := register(libc, map[string]any{"sigaction": &l.sigaction}); err != nil {
		return nil, err
	}
	if err := register(engine, l.symbols()); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Library) symbols() map[string]any {
	return map[string]any{
		"chdb_version":                    &l.version,
		"chdb_shutdown":                   &l.shutdown,
		"chdb_connect":                    &l.connect,
		"chdb_close_conn":                 &l.closing,
		"chdb_classify_query_n":           &l.classify,
		"chdb_query_n":                    &l.query,
		"chdb_query_with_params_n":        &l.queryWith,
		"chdb_stream_query_n":             &l.stream,
		"chdb_stream_query_with_params_n": &l.streamWith,
		"chdb_stream_fetch_result":        &l.streamFetch,
		"chdb_stream_cancel_query":        &l.streamStop,
		"chdb_result_error":               &l.resultError,
		"chdb_result_buffer":              &l.resultBuffer,
		"chdb_result_length":              &l.resultLen,
		"chdb_result_elapsed":             &l.resultElapsed,
		"chdb_result_storage_rows_read":   &l.resultStorageRows,
		"chdb_result_storage_bytes_read":  &l.resultStorageBytes,
		"chdb_result_rows_written":        &l.resultWrittenRows,
		"chdb_result_bytes_written":       &l.resultWrittenBytes,
		"chdb_destroy_query_result":       &l.resultDestroy,
		"chdb_stream_insert_n":            &l.insert,
		"chdb_stream_append":              &l.insertAppend,
		"chdb_stream_done":                &l.insertDone,
		"chdb_stream_cancel_insert":       &l.insertCancel,
		"chdb_stream_insert_error":        &l.insertError,
		"chdb_destroy_insert_stream":      &l.insertDestroy,
	}
}

// register looks every symbol up before binding it, since purego panics over a missing one.
func register(library uintptr, symbols map[string]any) error {
	for name, target := range symbols {
		address, err := purego.Dlsym(library, name)
		if err != nil {
			return fmt.Errorf("binding %s of the ClickHouse engine, which is not the pinned version: %w", name, err)
		}
		purego.RegisterFunc(target, address)
	}
	return nil
}

// Version is libchdb's own version.
func (l *Library) Version() string { return l.version() }

// Shutdown asks the engine to join its threads and says whether it did; it declines while something is open. No
// connection may be open, and none can be opened afterwards.
func (l *Library) Shutdown() bool { return l.shutdown() == 0 }
