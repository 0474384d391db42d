package engine

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Config says where the engine listens, where its data lies and what it may use.
type Config struct {
	Listen       string // host:port; port 0 picks a free one
	AllowRemote  bool   // permits Listen to be more than the loopback interface
	Path         string // data folder, made if it is not there
	Library      string // libchdb.so
	MemoryBytes  int64  // the engine's limit, over all statements
	MaxBodyBytes int64  // of one request, decoded
	MaxQueries   int    // statements at a time; more wait
	Threads      int    // of one statement
}

// Defaults fit a demo or a test beside other processes on a small machine.
func Defaults() Config {
	return Config{
		Listen:       "127.0.0.1:8123",
		Library:      filepath.Join(CacheFolder(), "lib", "libchdb.so"),
		MemoryBytes:  2 << 30,
		MaxBodyBytes: 1 << 30,
		MaxQueries:   16,
		Threads:      2,
	}
}

// CacheFolder is where .setup/run puts what it fetches and builds.
func CacheFolder() string {
	if folder := os.Getenv("PROFILESTREAM_CACHE"); folder != "" {
		return folder
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "profilestream"
	}
	return filepath.Join(base, "profilestream")
}

// Validate names the first setting that cannot be used.
func (c Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if !c.AllowRemote && !isLoopback(host) {
		return fmt.Errorf("listen: %q is reachable from other machines and the engine has no passwords; allow it explicitly", c.Listen)
	}
	if c.Path == "" {
		return fmt.Errorf("path: the data folder is not given")
	}
	if info, err := os.Stat(c.Library); err != nil || info.IsDir() {
		return fmt.Errorf("library: %s is not there; .setup/run fetches it", c.Library)
	}
	for _, limit := range []struct {
		name  string
		value int64
		least int64
	}{
		{"memory", c.MemoryBytes, 256 << 20},
		{"max body", c.MaxBodyBytes, 1 << 10},
		{"max queries", int64(c.MaxQueries), 1},
		{"threads", int64(c.Threads), 1},
	} {
		if limit.value < limit.least {
			return fmt.Errorf("%s: %d is below %d", limit.name, limit.value, limit.least)
		}
	}
	return nil
}

// isLoopback holds for localhost and the loopback addresses; not for "", which means every interface.
func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// arguments start libchdb: its own pools are sized for a server with many cores and are cut down.
func (c Config) arguments() []string {
	return []string{
		"--path=" + c.Path,
		fmt.Sprintf("--max_server_memory_usage=%d", c.MemoryBytes),
		fmt.Sprintf("--mark_cache_size=%d", c.MemoryBytes/16),
		"--uncompressed_cache_size=0",
		"--background_pool_size=2",
		"--background_common_pool_size=2",
		"--background_move_pool_size=1",
		"--background_fetches_pool_size=1",
		"--background_schedule_pool_size=8",
	}
}

// sessionDefaults are settings of every session: the engine's arguments hold for its first one only.
func (c Config) sessionDefaults() string {
	return settingList(map[string]string{
		"max_memory_usage":   strconv.FormatInt(c.MemoryBytes/4*3, 10),
		"max_threads":        strconv.Itoa(c.Threads),
		"max_insert_threads": "1",
		"implicit_select":    "0", // else a text that is no statement is an expression to select
	})
}
