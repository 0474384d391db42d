package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine says where figures were measured, and beside what.
func machine() string {
	cpu := "an unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, after, ok := strings.Cut(string(info), "model name"); ok {
			line, _, _ := strings.Cut(after, "\n")
			cpu = strings.Trim(line, "\t :")
		}
	}
	return fmt.Sprintf("%s: %d processors of %s, load average %s", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), cpu, load())
}

// load is the load average of the last minute, "?" where the system does not tell.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	now, _, _ := strings.Cut(string(b), " ")
	return now
}
