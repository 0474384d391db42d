package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/segmentio/kafka-go/protocol"
)

// errResponse marks a response that does not parse; the connection is given up and the request may be tried again.
var errResponse = errors.New("malformed response")

// maxResponseBytes bounds one response; brokers keep to the sizes that were asked for, plus one batch.
const maxResponseBytes = 1 << 30

// correlation numbers the raw requests of this process; it only has to differ from request to request.
var correlation atomic.Int32

func appendRequestHeader(dst []byte, key protocol.ApiKey, version int16, id int32, clientID string) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, 0) // size, set by exchange
	dst = be.AppendUint16(dst, uint16(key))
	dst = be.AppendUint16(dst, uint16(version))
	dst = be.AppendUint32(dst, uint32(id))
	return appendString(dst, clientID)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// exchange sends head (which begins with room for the size) and tail as one request and reads the response into buf.
func exchange(rw io.ReadWriter, id int32, head, tail, buf []byte) (response, error) {
	binary.BigEndian.PutUint32(head, uint32(len(head)+len(tail)-4))
	if _, err := rw.Write(head); err != nil {
		return response{}, err
	}
	if len(tail) > 0 {
		if _, err := rw.Write(tail); err != nil {
			return response{}, err
		}
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return response{}, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > maxResponseBytes {
		return response{}, fmt.Errorf("%w: size %d", errResponse, n)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(rw, buf); err != nil {
		return response{}, err
	}
	if got := int32(binary.BigEndian.Uint32(buf)); got != id {
		return response{}, fmt.Errorf("%w: answer to request %d on request %d", errResponse, got, id)
	}
	return response{buf: buf, b: buf[4:]}, nil
}

// response reads a response's fields in order. After a short read it stays at zero and bad.
type response struct {
	buf []byte // whole, for reuse
	b   []byte // unread
	bad bool
}

func (r *response) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *response) int16() int16 {
	if p := r.take(2); p != nil {
		return int16(binary.BigEndian.Uint16(p))
	}
	return 0
}

func (r *response) int32() int32 {
	if p := r.take(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

func (r *response) int64() int64 {
	if p := r.take(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

// string reads a nullable string.
func (r *response) string() string {
	n := r.int16()
	if n < 0 {
		return ""
	}
	return string(r.take(int(n)))
}

// count reads an array's length; each element takes at least least bytes, so a larger count is refused at once.
func (r *response) count(least int) int {
	n := int(r.int32())
	if n < 0 {
		return 0
	}
	if n > len(r.b)/least {
		r.bad = true
		return 0
	}
	return n
}

func (r *response) uvarint() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(maxResponseBytes) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// compactString reads a nullable string of a flexible version.
func (r *response) compactString() string { return string(r.take(max(r.uvarint()-1, 0))) }

// compactCount reads the length of an array of a flexible version, whose elements take a byte each at least.
func (r *response) compactCount() int {
	n := r.uvarint() - 1
	if n > len(r.b) {
		r.bad, r.b = true, nil
	}
	if r.bad || n < 0 {
		return 0
	}
	return n
}

// tags passes over the tagged fields of a flexible version.
func (r *response) tags() {
	for range r.uvarint() {
		r.uvarint()
		if r.take(r.uvarint()); r.bad {
			return
		}
	}
}

func (r *response) err() error {
	if r.bad {
		return fmt.Errorf("%w: it ends early", errResponse)
	}
	return nil
}

// leader routes a request for one partition as kafka-go routes its own.
func leader(cluster protocol.Cluster, topic string, partition int32) (protocol.Broker, error) {
	t, ok := cluster.Topics[topic]
	if !ok {
		return protocol.Broker{ID: -1}, protocol.NewErrNoTopic(topic)
	}
	p, ok := t.Partitions[partition]
	if !ok {
		return protocol.Broker{ID: -1}, protocol.NewErrNoPartition(topic, partition)
	}
	b, ok := cluster.Brokers[p.Leader]
	if !ok {
		return protocol.Broker{ID: -1}, protocol.NewErrNoLeader(topic, partition)
	}
	return b, nil
}
