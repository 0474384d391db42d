package encoder

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// CacheDir is the folder that set-up fills: $PROFILESTREAM_CACHE, or profilestream in
// the user's cache folder.
func CacheDir() (string, error) {
	if d := os.Getenv("PROFILESTREAM_CACHE"); d != "" {
		return d, nil
	}
	if d := os.Getenv("XDG_CACHE_HOME"); d != "" {
		return filepath.Join(d, "profilestream"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder, set PROFILESTREAM_CACHE: %w", err)
	}
	return filepath.Join(home, ".cache", "profilestream"), nil
}

// findLibrary returns override if it is set, else the newest match of pattern under the
// cache folder's lib.
func findLibrary(override, pattern string) (string, error) {
	if override != "" {
		if _, err := os.Stat(override); err != nil {
			return "", fmt.Errorf("library: %w: %w", err, ErrUnavailable)
		}
		return override, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(cache, "lib", pattern))
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("library %s is missing, run make setup: %w", filepath.Join(cache, "lib", pattern), ErrUnavailable)
	}
	sort.Strings(found)
	return found[len(found)-1], nil
}
