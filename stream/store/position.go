package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Position is the place in the state topic that a store's content stands for.
type Position struct {
	Cluster   string // id of the Kafka cluster
	Topic     string
	Partition int32
	Offset    int64  // of the last marker record that is contained
	Check     uint32 // CRC-32C of that record's value, to know it again
}

// positionVersion is the first byte of a position; another one makes the store useless to this program.
const positionVersion = 1

var errPosition = errors.New("no valid position")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is what Position.Check holds of a record's value.
func Checksum(value []byte) uint32 { return crc32.Checksum(value, castagnoli) }

// appendPosition appends the record of a position: version, partition, offset, check (4 bytes), cluster, topic, each
// with its length; CRC-32C of all that.
func appendPosition(b []byte, p Position) []byte {
	from := len(b)
	b = append(b, positionVersion)
	b = binary.AppendUvarint(b, uint64(p.Partition))
	b = binary.AppendUvarint(b, uint64(p.Offset))
	b = binary.LittleEndian.AppendUint32(b, p.Check)
	for _, s := range [...]string{p.Cluster, p.Topic} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return binary.LittleEndian.AppendUint32(b, Checksum(b[from:]))
}

// decodePosition reads the record of a position.
func decodePosition(b []byte) (p Position, err error) {
	if len(b) < 1+4 || b[0] != positionVersion {
		return p, fmt.Errorf("%w: %d bytes", errPosition, len(b))
	}
	body, sum := b[1:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if Checksum(b[:len(b)-4]) != sum {
		return p, fmt.Errorf("%w: checksum", errPosition)
	}
	number := func(most uint64) uint64 {
		v, n := binary.Uvarint(body)
		if n <= 0 || v > most {
			err, body = errPosition, nil
			return 0
		}
		body = body[n:]
		return v
	}
	p.Partition = int32(number(1<<31 - 1))
	p.Offset = int64(number(1<<63 - 1))
	if len(body) < 4 {
		return Position{}, errPosition
	}
	p.Check = binary.LittleEndian.Uint32(body)
	body = body[4:]
	for _, s := range [...]*string{&p.Cluster, &p.Topic} {
		n := number(uint64(len(body)))
		if err == nil && n > uint64(len(body)) {
			err = errPosition
		}
		if err != nil {
			return Position{}, err
		}
		*s, body = string(body[:n]), body[n:]
	}
	if len(body) > 0 {
		return Position{}, fmt.Errorf("%w: trailing bytes", errPosition)
	}
	return p, nil
}
