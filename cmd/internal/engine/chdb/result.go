package chdb

import (
	"time"
	"unsafe"
)

// Result is the outcome of a statement, or one chunk of a streamed one.
type Result struct {
	lib *Library
	ptr handle
}

// result takes ownership of what the library returned and turns its error, if any, into an *Exception.
func (l *Library) result(ptr handle) (*Result, error) {
	if ptr == 0 {
		return nil, asException("the engine returned no result")
	}
	if text := l.resultError(ptr); text != "" {
		l.resultDestroy(ptr)
		return nil, asException(text)
	}
	return &Result{lib: l, ptr: ptr}, nil
}

// Bytes is the formatted output; it lives in the engine's memory, until Free.
func (r *Result) Bytes() []byte {
	n := r.lib.resultLen(r.ptr)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.lib.resultBuffer(r.ptr)), int(n))
}

// Stats is what a statement read and wrote.
type Stats struct {
	ReadRows, ReadBytes, WrittenRows, WrittenBytes uint64
	Elapsed                                        time.Duration
}

// Stats of the statement so far.
func (r *Result) Stats() Stats {
	return Stats{
		ReadRows:     r.lib.resultStorageRows(r.ptr),
		ReadBytes:    r.lib.resultStorageBytes(r.ptr),
		WrittenRows:  r.lib.resultWrittenRows(r.ptr),
		WrittenBytes: r.lib.resultWrittenBytes(r.ptr),
		Elapsed:      time.Duration(r.lib.resultElapsed(r.ptr) * float64(time.Second)),
	}
}

// Free gives the memory back.
func (r *Result) Free() {
	if r.ptr != 0 {
		r.lib.resultDestroy(r.ptr)
		r.ptr = 0
	}
}
