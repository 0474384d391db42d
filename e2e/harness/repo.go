package harness

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Root is the top folder of the checkout.
func Root(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("no caller information")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Binary is the path of a built binary; the test fails if it is missing.
func Binary(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(Root(tb), "bin", name)
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("%s is not built: run make build", path)
	}
	return path
}

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
