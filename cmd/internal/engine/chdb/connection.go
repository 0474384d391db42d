package chdb

import (
	"errors"
	"runtime"
	"unsafe"
)

// Conn is a session of the engine: settings, current database, one statement at a time.
type Conn struct {
	lib *Library
	ptr unsafe.Pointer // chdb_connection *, the address of the connection's own handle
}

// Connect opens a session. The first one starts the engine with these arguments ("--path=DIR", "--setting=value").
func (l *Library) Connect(args ...string) (*Conn, error) {
	l.connecting.Lock()
	defer l.connecting.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]unsafe.Pointer, 0, len(args)+2)
	for _, arg := range append([]string{"clickhouse"}, args...) {
		terminated := append([]byte(arg), 0)
		pin.Pin(&terminated[0])
		argv = append(argv, unsafe.Pointer(&terminated[0]))
	}
	argc := len(argv)
	argv = append(argv, nil)

	saved := l.saveSignals()
	ptr := l.connect(int32(argc), unsafe.Pointer(&argv[0]))
	l.restoreSignals(saved)
	if ptr == nil {
		return nil, errors.New("connecting to the ClickHouse engine: it refused; its own message is on standard error")
	}
	return &Conn{lib: l, ptr: ptr}, nil
}

// Close ends the session.
func (c *Conn) Close() { c.lib.closing(c.ptr) }

func (c *Conn) handle() handle { return *(*handle)(c.ptr) }

// Class says what a statement may do.
type Class uint32

// The classes in libchdb's order.
const (
	ReadOnly Class = iota
	Mutating
	Global
	Control
	Unknown
)

// Classify parses sql and says what it may do and how many statements it holds; text that is no SQL is
// Unknown with a count of 0.
func (c *Conn) Classify(sql string) (class Class, statements int) {
	out := struct{ size, statements, flags, class uint32 }{size: 16, class: uint32(Unknown)}
	c.lib.classify(c.handle(), pointer(sql), uintptr(len(sql)), nil, 0, unsafe.Pointer(&out))
	runtime.KeepAlive(sql)
	return Class(out.class), int(out.statements)
}

func pointer(s string) unsafe.Pointer {
	if s == "" {
		return nil
	}
	return unsafe.Pointer(unsafe.StringData(s))
}
