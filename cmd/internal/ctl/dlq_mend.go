package ctl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"

	"profilestream/stream/clickhouse"
)

// mender sends the values of dead letters through a program, many at a time: a
// line of JSON each on its standard input, a line each on its standard output.
// What is not JSON stays as it is.
type mender struct {
	program string // of the shell; "" leaves all as it is
	stderr  io.Writer
	waiting []*clickhouse.Diverted
	bytes   int
	then    func(d *clickhouse.Diverted) error
}

// add takes a dead letter; then is called for it, in order, once it is mended.
func (m *mender) add(ctx context.Context, d *clickhouse.Diverted) error {
	const most, mostBytes = 1000, 16 << 20
	m.waiting = append(m.waiting, d)
	m.bytes += len(d.Value)
	if len(m.waiting) < most && m.bytes < mostBytes {
		return nil
	}
	return m.flush(ctx)
}

func (m *mender) flush(ctx context.Context) error {
	if err := m.mend(ctx); err != nil {
		return err
	}
	for _, d := range m.waiting {
		if err := m.then(d); err != nil {
			return err
		}
	}
	m.waiting, m.bytes = m.waiting[:0], 0
	return nil
}

func (m *mender) mend(ctx context.Context) error {
	if m.program == "" {
		return nil
	}
	var in bytes.Buffer
	var lines []*clickhouse.Diverted
	for _, d := range m.waiting {
		if json.Compact(&in, d.Value) == nil { // it writes nothing for what is no JSON
			in.WriteByte('\n')
			lines = append(lines, d)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	c := exec.CommandContext(ctx, "sh", "-c", m.program)
	c.Stdin, c.Stderr = &in, m.stderr
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("--through: %w", err)
	}
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, len(out)+1)
	n := 0
	for ; sc.Scan(); n++ {
		if n < len(lines) {
			lines[n].Value = bytes.Clone(sc.Bytes())
		}
	}
	if n != len(lines) {
		return fmt.Errorf("--through: %d lines came back for %d: the program must print one line a record", n, len(lines))
	}
	return nil
}
