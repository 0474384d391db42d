package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Root is the top folder of the checkout.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, ok := root()
	if !ok {
		tb.Fatal("no caller information")
	}
	return dir
}

func root() (string, bool) {
	_, file, _, ok := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file))), ok
}

// Binary is the path of a built binary; the test fails if it is missing or older than what it is built of.
func Binary(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(Root(tb), "bin", name)
	built, err := os.Stat(path)
	if err != nil {
		tb.Fatalf("%s is not built: run make build", path)
	}
	switch source, err := newestSource(); {
	case err != nil:
		tb.Fatal(err)
	case source.changed.After(built.ModTime()):
		tb.Fatalf("%s is older than %s: run make build", path, source.path)
	}
	return path
}

type source struct {
	path    string
	changed time.Time
}

// newestSource is the file of the binaries' source that was changed last, when this process first asks.
var newestSource = sync.OnceValues(func() (newest source, err error) {
	dir, _ := root()
	for _, part := range []string{"cmd", "stream", "profile", "inference", "schemas"} {
		err = errors.Join(err, filepath.WalkDir(filepath.Join(dir, part), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") {
				return err
			}
			info, err := d.Info()
			if err == nil && info.ModTime().After(newest.changed) {
				newest = source{p, info.ModTime()}
			}
			return err
		}))
	}
	return newest, err
})

// FreePort is a TCP port on the loopback address that nothing listens on.
func FreePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// FreePorts is the first of n TCP ports in a row on the loopback address that
// nothing listens on.
func FreePorts(tb testing.TB, n int) int {
	tb.Helper()
	for range 100 {
		first, free := FreePort(tb), true
		for i := 1; i < n && free; i++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+i))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return first
		}
	}
	tb.Fatalf("no %d free ports in a row", n)
	return 0
}

// CacheDir is the folder that make setup fills.
func CacheDir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("PROFILESTREAM_CACHE"); dir != "" {
		return dir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(base, "profilestream")
}

// DataFile is the path of a file of the evaluation data. Where the data is
// absent the test is skipped, loudly.
func DataFile(tb testing.TB, name string) string {
	tb.Helper()
	dir := os.Getenv("PROFILESTREAM_DATA")
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); dir == "" || err != nil {
		fmt.Fprintf(os.Stderr, "SKIPPED %s: PROFILESTREAM_DATA names no folder with %s\n", tb.Name(), name)
		tb.Skipf("PROFILESTREAM_DATA names no folder with %s", name)
	}
	return path
}
