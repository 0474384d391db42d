package engine

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"profilestream/cmd/internal/engine/chdb"
)

// stallLimit is how long a client may take to read one chunk before the reply, and the statement, are given up.
const stallLimit = 60 * time.Second

// reply is a result on its way to a client. Until its first byte a failure is an ordinary error reply; after it, the
// failure goes into the body, framed as ClickHouse does.
type reply struct {
	w      http.ResponseWriter
	req    *request
	format string
	body   bodyWriter // nil until the first byte
	tag    string     // marks an exception in the body as ours
}

func newReply(w http.ResponseWriter, req *request) *reply {
	r := &reply{w: w, req: req, tag: strings.ToLower(rand.Text()[:16]), format: firstOf(outputFormat(req.sql), req.format)}
	w.Header().Set("X-ClickHouse-Format", r.format)
	w.Header().Set("X-ClickHouse-Exception-Tag", r.tag)
	return r
}

// nativeInfo precedes a Native block for clients of older revisions.
var nativeInfo = []byte{1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0}

const nativeWithoutInfoRevision = 54454

// write sends one chunk of the result.
func (r *reply) write(chunk []byte) error {
	if r.body == nil {
		r.body = newBodyWriter(r.w, r.format, r.req.encoding)
	}
	deadline := http.NewResponseController(r.w)
	if err := deadline.SetWriteDeadline(time.Now().Add(stallLimit)); err != nil {
		return fmt.Errorf("sending a result: %w", err)
	}
	if r.format == "Native" && r.req.revision > 0 && r.req.revision < nativeWithoutInfoRevision {
		if _, err := r.body.Write(nativeInfo); err != nil {
			return fmt.Errorf("sending a result: %w", err)
		}
	}
	if _, err := r.body.Write(chunk); err != nil {
		return fmt.Errorf("sending a result: %w", err)
	}
	return nil
}

// finish ends the reply with the statement's outcome.
func (r *reply) finish(err error) {
	// A deadline would hold for the connection's next reply too. Only a connection that is gone refuses this.
	defer func() { _ = http.NewResponseController(r.w).SetWriteDeadline(time.Time{}) }()
	switch {
	case err != nil && r.body == nil:
		writeException(r.w, err)
		return
	case err != nil:
		message := asException(err).Message
		err = r.body.note(fmt.Appendf(nil, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n",
			r.tag, message, len(message)+1, r.tag))
	case r.body == nil:
		r.w.Header().Set("Content-Length", "0")
		return
	}
	if err == nil {
		err = r.body.Close()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the only way left to tell the client that the result is not whole
	}
}

func (r *reply) summary(s chdb.Stats) {
	r.w.Header().Set("X-ClickHouse-Summary", fmt.Sprintf(
		`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","elapsed_ns":"%d"}`,
		s.ReadRows, s.ReadBytes, s.WrittenRows, s.WrittenBytes, s.Elapsed.Nanoseconds()))
}
