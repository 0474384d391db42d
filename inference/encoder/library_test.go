package encoder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func contains(err error, s string) bool { return strings.Contains(err.Error(), s) }

func TestMissingLibrarySaysHowToGetIt(t *testing.T) {
	t.Setenv("PROFILESTREAM_CACHE", t.TempDir())
	for _, pattern := range []string{openvinoPattern, onnxRuntimePattern} {
		if _, err := findLibrary("", pattern); !errors.Is(err, ErrUnavailable) || !contains(err, "make setup") {
			t.Errorf("%s: error %v", pattern, err)
		}
	}
	if _, err := findLibrary(filepath.Join(t.TempDir(), "none.so"), openvinoPattern); !errors.Is(err, ErrUnavailable) || !contains(err, "none.so") {
		t.Errorf("override: error %v", err)
	}
}

func TestNotALibrary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libopenvino_c.so")
	if err := os.WriteFile(path, []byte("no ELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newOpenVINO(path); !errors.Is(err, ErrUnavailable) || !contains(err, path) {
		t.Errorf("error %v", err)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("PROFILESTREAM_CACHE", "/a")
	t.Setenv("XDG_CACHE_HOME", "/b")
	if d, err := CacheDir(); d != "/a" || err != nil {
		t.Errorf("%q, %v", d, err)
	}
	t.Setenv("PROFILESTREAM_CACHE", "")
	if d, err := CacheDir(); d != "/b/profilestream" || err != nil {
		t.Errorf("%q, %v", d, err)
	}
}
