package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "profilestream/"

// mayImport says which rooms of ours the packages of a room may depend on,
// directly or not: cmd -> {stream, profile, inference} -> schemas.
var mayImport = map[string][]string{
	"schemas":   {"schemas"},
	"profile":   {"profile", "schemas"},
	"inference": {"inference", "schemas"},
	"stream":    {"stream", "schemas"},
	"cmd":       {"cmd", "stream", "profile", "inference", "schemas"},
	"bench":     {"bench", "cmd", "e2e", "stream", "profile", "inference", "schemas"},
	"e2e":       {"e2e", "cmd", "stream", "profile", "inference", "schemas"},
}

// forbidden are dependencies that a room must not have, whoever brings them.
var forbidden = map[string][]string{
	"profile":   {"net", "net/http", "os/exec", "math/rand", "math/rand/v2", "github.com/segmentio/kafka-go", "github.com/ClickHouse/clickhouse-go/v2"},
	"inference": {"github.com/segmentio/kafka-go", "github.com/ClickHouse/clickhouse-go/v2"},
	"schemas":   {"github.com/segmentio/kafka-go", "github.com/ClickHouse/clickhouse-go/v2"},
}

func TestLayeringFollowsTheDesign(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}|{{join .Imports \" \"}}|{{join .Deps \" \"}}", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	rooms := map[string]int{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		room := roomOf(f[0])
		rooms[room]++
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("%s: the folder %q is not in the design", f[0], room)
			continue
		}
		for dep := range strings.FieldsSeq(f[2]) {
			if strings.HasPrefix(dep, module) && !contains(allowed, roomOf(dep)) {
				t.Errorf("%s depends on %s", f[0], dep)
			}
		}
		for dep := range strings.FieldsSeq(f[1]) {
			if contains(forbidden[room], dep) {
				t.Errorf("%s imports %s", f[0], dep)
			}
		}
	}
	for _, room := range []string{"schemas", "profile", "inference", "stream", "cmd"} {
		if rooms[room] == 0 {
			t.Errorf("no package in %s was checked", room)
		}
	}
}

func roomOf(path string) string {
	room, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
	return room
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
