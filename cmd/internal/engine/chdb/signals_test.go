package chdb

import (
	"encoding/binary"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func library() string {
	cache := os.Getenv("PROFILESTREAM_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return err.Error()
		}
		cache = filepath.Join(base, "profilestream")
	}
	return filepath.Join(cache, "lib", "libchdb.so")
}

// function and flags are what counts of a C struct sigaction; its mask is partly padding.
func (s savedHandler) function() uint64 { return binary.NativeEndian.Uint64(s.handler[:]) }
func (s savedHandler) flags() uint32    { return binary.NativeEndian.Uint32(s.handler[136:]) &^ restorer }

// restorer is SA_RESTORER, which the C library adds to every handler that it sets.
const restorer = 0x04000000

// One process has one engine, so this is one test: the binding, and the signal handlers after each connection.
func TestEngineInThisProcess(t *testing.T) {
	lib, err := Load(library())
	if err != nil {
		t.Fatalf("%v; .setup/run fetches it", err)
	}
	before := lib.saveSignals()
	path := "--path=" + t.TempDir()
	var conns []*Conn
	for range 3 {
		conn, err := lib.Connect(path)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		for i, after := range lib.saveSignals() {
			if after.function() != before[i].function() || after.flags() != before[i].flags() {
				t.Errorf("after connecting %v has another handler, or other flags", after.signal)
			}
		}
	}
	conn := conns[0]
	t.Run("a signal arrives", func(t *testing.T) {
		got := make(chan os.Signal, 1)
		signal.Notify(got, syscall.SIGTERM)
		defer signal.Stop(got)
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
		case <-time.After(time.Minute):
			t.Error("SIGTERM does not arrive")
		}
	})
	t.Run("a nil dereference is a Go panic", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		var nothing *Conn
		_ = nothing.ptr
	})
	t.Run("bytes are data", func(t *testing.T) {
		result, err := conn.Query("SELECT {x:String}", "RowBinary", map[string]string{"x": "a'b"})
		if err != nil {
			t.Fatal(err)
		}
		defer result.Free()
		if got := string(result.Bytes()); got != "\x03a'b" {
			t.Errorf("result %q", got)
		}
		streamed := 0
		err = conn.Stream("SELECT '\x00' FROM numbers(100000)", "LineAsString", nil, func(chunk []byte) error {
			streamed += strings.Count(string(chunk), "\x00")
			return nil
		})
		if err != nil || streamed != 100000 {
			t.Errorf("%d rows streamed, error %v", streamed, err)
		}
	})
	t.Run("a stopped stream", func(t *testing.T) {
		enough := errors.New("enough")
		err := conn.Stream("SELECT number FROM numbers(1000000000)", "RowBinary", nil, func([]byte) error { return enough })
		if !errors.Is(err, enough) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an insert", func(t *testing.T) { checkInsert(t, conn) })
	t.Run("classes", func(t *testing.T) {
		for sql, want := range map[string]struct {
			class      Class
			statements int
		}{
			"SELECT 1": {ReadOnly, 1}, "SELECT 1; SELECT 2": {ReadOnly, 2}, "INSERT INTO a VALUES (1)": {Mutating, 1},
			"SET a = 1": {Control, 1}, "SELEC 1": {Unknown, 0}, "": {Unknown, 0}, "\x00": {Unknown, 0},
		} {
			if class, statements := conn.Classify(sql); class != want.class || statements != want.statements {
				t.Errorf("%q: class %d, %d statements", sql, class, statements)
			}
		}
	})
	for _, conn := range conns {
		conn.Close()
	}
}

func checkInsert(t *testing.T, conn *Conn) {
	for _, sql := range []string{"CREATE DATABASE x", "CREATE TABLE x.t (a UInt32) ENGINE = MergeTree ORDER BY a"} {
		result, err := conn.Query(sql, "Null", nil)
		if err != nil {
			t.Fatal(err)
		}
		result.Free()
	}
	stats, err := conn.Insert("INSERT INTO x.t", "TSV", strings.NewReader("1\n2\n3\n"))
	if err != nil || stats.WrittenRows != 3 {
		t.Errorf("wrote %d rows, error %v", stats.WrittenRows, err)
	}
	_, err = conn.Insert("INSERT INTO x.t", "TSV", strings.NewReader("1\ntwo\n"))
	var exception *Exception
	if !errors.As(err, &exception) || exception.Code == codeUnknown {
		t.Errorf("a bad row: %v", err)
	}
}

func TestExceptionText(t *testing.T) {
	for text, want := range map[string]Exception{
		"Code: 60. DB::Exception: no table. (UNKNOWN_TABLE)":     {60, "Code: 60. DB::Exception: no table. (UNKNOWN_TABLE)"},
		"row 3: Code: 27. DB::Exception: x says Code: 1. (A)\n ": {27, "Code: 27. DB::Exception: x says Code: 1. (A)"},
		"lost":                          {1002, "Code: 1002. DB::Exception: lost (UNKNOWN_EXCEPTION)"},
		"Code: 99999999999999999999. x": {1002, "Code: 1002. DB::Exception: Code: 99999999999999999999. x (UNKNOWN_EXCEPTION)"},
	} {
		if got := asException(text); *got != want {
			t.Errorf("%q: %+v", text, *got)
		}
	}
}
