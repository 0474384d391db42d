package chdb

import (
	"runtime"
	"unsafe"
)

// Query runs sql with bound parameters and holds the whole output, in the given format, in memory.
func (c *Conn) Query(sql, format string, params map[string]string) (*Result, error) {
	return c.lib.result(c.start(c.lib.query, c.lib.queryWith, sql, format, params))
}

// Stream runs sql and calls each with every chunk of its output, as the engine produces them. A chunk is freed after
// the call. An error from each cancels the statement.
func (c *Conn) Stream(sql, format string, params map[string]string, each func([]byte) error) error {
	stream, err := c.lib.result(c.start(c.lib.stream, c.lib.streamWith, sql, format, params))
	if err != nil {
		return err
	}
	defer stream.Free()
	for {
		chunk, err := c.lib.result(c.lib.streamFetch(c.handle(), stream.ptr))
		if err != nil {
			return err
		}
		data := chunk.Bytes()
		if len(data) == 0 {
			chunk.Free()
			return nil
		}
		err = each(data)
		chunk.Free()
		if err != nil {
			c.lib.streamStop(c.handle(), stream.ptr)
			return err
		}
	}
}

type (
	startPlain = func(conn handle, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr) handle
	startWith  = func(conn handle, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) handle
)

func (c *Conn) start(plain startPlain, with startWith, sql, format string, params map[string]string) handle {
	defer runtime.KeepAlive(sql)
	defer runtime.KeepAlive(format)
	if len(params) == 0 {
		return plain(c.handle(), pointer(sql), uintptr(len(sql)), pointer(format), uintptr(len(format)))
	}
	var names, values texts
	defer names.pin.Unpin()
	defer values.pin.Unpin()
	for name, value := range params {
		names.add(name)
		values.add(value)
	}
	return with(c.handle(), pointer(sql), uintptr(len(sql)), pointer(format), uintptr(len(format)),
		unsafe.Pointer(&names.pointers[0]), unsafe.Pointer(&names.lengths[0]),
		unsafe.Pointer(&values.pointers[0]), unsafe.Pointer(&values.lengths[0]), uintptr(len(params)))
}

// texts are C strings with their lengths, pinned for the length of a call.
type texts struct {
	pointers []unsafe.Pointer
	lengths  []uintptr
	pin      runtime.Pinner
}

func (t *texts) add(s string) {
	terminated := append([]byte(s), 0)
	t.pin.Pin(&terminated[0])
	t.pointers = append(t.pointers, unsafe.Pointer(&terminated[0]))
	t.lengths = append(t.lengths, uintptr(len(s)))
}
