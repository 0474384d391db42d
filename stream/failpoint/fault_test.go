package failpoint

import (
	"testing"
	"time"
)

func TestParseFaults(t *testing.T) {
	for spec, ok := range map[string]bool{
		"a": true, "a:3": true, "a:3-5,b": true, "a:0": false, "a:5-3": false, ":3": false, "a:x": false, "a:1-": false, "a,": false,
		"a@2s-3s": true, "a@2s-3s:1-9": true, "a@3s-2s": false, "a@2s": false, "a@-2s": false, "@1s-2s": false, "a@1-2": false,
	} {
		if _, err := parseFaults(spec); (err == nil) != ok {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestFaultIsDueAtItsChances(t *testing.T) {
	for spec, want := range map[string]string{"a": "++++++", "a:2": "-+----", "a:2-4": "-+++--", "b": "------", "a@2s-4s": "--++--", "a@2s-6s:2-3": "---++-"} {
		fs, err := parseFaults(spec)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for age := range 6 {
			if f := fs["a"]; f != nil && f.due(time.Duration(age)*time.Second) {
				got += "+"
			} else {
				got += "-"
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	if d := time.Since(Now()); d < 0 || d > time.Minute {
		t.Errorf("without a fault the clock is off by %s", d)
	}
}
