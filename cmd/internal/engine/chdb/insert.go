package chdb

import (
	"io"
	"runtime"
	"unsafe"
)

// chunkBytes is how much data is handed to the engine at a time.
const chunkBytes = 1 << 20

// Insert runs "INSERT INTO ..." without its FORMAT clause on data in that format, to its end. data must not fail
// because a client went away: a libchdb insert that is cancelled leaves, about once in a hundred times, a query
// behind for ever. So callers spool what comes from a network first.
func (c *Conn) Insert(sql, format string, data io.Reader) (Stats, error) {
	stream := c.lib.insert(c.handle(), pointer(sql), uintptr(len(sql)), pointer(format), uintptr(len(format)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	if stream == 0 {
		return Stats{}, asException("the engine opened no insert")
	}
	defer c.lib.insertDestroy(stream)
	if text := c.lib.insertError(stream); text != "" {
		return Stats{}, asException(text)
	}
	buf := make([]byte, chunkBytes)
	for {
		n, err := io.ReadFull(data, buf)
		if n > 0 && c.lib.insertAppend(stream, unsafe.Pointer(&buf[0]), uintptr(n)) != 0 {
			return Stats{}, c.insertFailure(stream)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return c.insertStats(c.lib.insertDone(stream))
		}
		if err != nil {
			c.lib.insertCancel(stream)
			return Stats{}, err
		}
	}
}

// insertFailure asks for the reason of a refused append: the one at the end of the stream is the fuller.
func (c *Conn) insertFailure(stream handle) error {
	text := c.lib.insertError(stream)
	if _, err := c.insertStats(c.lib.insertDone(stream)); err != nil {
		return err
	}
	return asException(text)
}

func (c *Conn) insertStats(ptr handle) (Stats, error) {
	result, err := c.lib.result(ptr)
	if err != nil {
		return Stats{}, err
	}
	defer result.Free()
	return result.Stats(), nil
}
