package ctl

import (
	"context"
	"io"
	"strings"
	"testing"

	"profilestream/stream/clickhouse"
)

func TestMend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		program, wrong string
		want           []string
	}{
		"nothing to run":   {"", "", []string{"{\"a\": 1}", "{", "{\n}"}},
		"JSON only":        {"sed s/a/b/", "", []string{"{\"b\":1}", "{", "{}"}},
		"a line is lost":   {"head -n 1", "1 lines came back for 2", nil},
		"the program ends": {"exit 3", "exit status 3", nil},
	} {
		var got []string
		m := &mender{program: c.program, stderr: io.Discard, then: func(d *clickhouse.Diverted) error {
			got = append(got, string(d.Value))
			return nil
		}}
		var err error
		for _, v := range []string{"{\"a\": 1}", "{", "{\n}"} {
			if e := m.add(context.Background(), &clickhouse.Diverted{Value: []byte(v)}); e != nil {
				err = e
			}
		}
		if e := m.flush(context.Background()); e != nil {
			err = e
		}
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) || len(got) > 0 {
				t.Errorf("%s: %v, %q", name, err, got)
			}
			continue
		}
		if err != nil || strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: %v, %q, want %q", name, err, got, c.want)
		}
	}
}
