package stage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// schemaFrames gives the bytes that a message of each schema begins with. They
// are compared, not parsed: Arrow's parser allocates whatever a damaged schema
// says. TestSchemaFrames notices a library that writes them otherwise.
var schemaFrames = sync.OnceValue(func() map[string][]byte {
	out := map[string][]byte{}
	for name, schema := range messageSchemas {
		var b bytes.Buffer
		if err := ipc.NewWriter(&b, ipc.WithSchema(schema)).Close(); err != nil {
			panic(fmt.Sprintf("bug: encoding the schema %s: %v", name, err))
		}
		out[name] = b.Bytes()[:b.Len()-8] // less the end-of-stream mark
	}
	return out
})

// decodeRows reads the rows of an Arrow IPC stream of one of our schemas. The
// rows do not alias the stream.
func decodeRows(schema string, stream []byte, mem memory.Allocator) (rows arrow.Record, err error) {
	defer func() {
		// Arrow's reader panics on some damaged bytes. The broker's checksum has
		// passed, so this is a writer's mistake: an error with the place, not a crash.
		if p := recover(); p != nil {
			rows, err = nil, fmt.Errorf("reading an Arrow message: %v", p)
		}
	}()
	head, ok := schemaFrames()[schema]
	if !ok {
		return nil, fmt.Errorf("%w: %q", errSchema, schema)
	}
	if !bytes.HasPrefix(stream, head) {
		return nil, fmt.Errorf("%w: the columns are not those of %s", errSchema, schema)
	}
	// A body's buffers are padded to 64 bytes each, hence the room above its length.
	mem = &bounded{mem, 2*len(stream) + 1<<16}
	rd, err := ipc.NewReaderFromMessageReader(&frames{b: stream}, ipc.WithAllocator(mem))
	if err != nil {
		return nil, fmt.Errorf("reading an Arrow message: %w", err)
	}
	defer rd.Release()
	if !rd.Next() {
		return nil, fmt.Errorf("reading an Arrow message: no rows: %w", errors.Join(rd.Err()))
	}
	if err := checkRows(rd.Record()); err != nil {
		return nil, fmt.Errorf("reading an Arrow message: %w", err)
	}
	rd.Record().Retain()
	return rd.Record(), nil
}

var errFrame = errors.New("an Arrow frame reaches beyond the message")

// frames reads the messages of an Arrow IPC stream out of bytes that are all
// there. Arrow's own reader believes the lengths in the stream and allocates
// them first; here a length beyond the bytes is an error.
type frames struct {
	b   []byte
	msg *ipc.Message
}

func (f *frames) Retain() {}

func (f *frames) Release() {
	if f.msg != nil {
		f.msg.Release()
		f.msg = nil
	}
}

func (f *frames) take(n int64) ([]byte, error) {
	if n < 0 || n > int64(len(f.b)) {
		return nil, errFrame
	}
	out := f.b[:n:n]
	f.b = f.b[n:]
	return out, nil
}

// Message is the next message; it is valid until the next call.
func (f *frames) Message() (*ipc.Message, error) {
	const continuation = 0xffffffff
	size, err := f.take(4)
	if err == nil && binary.LittleEndian.Uint32(size) == continuation {
		size, err = f.take(4)
	}
	if err != nil {
		return nil, err
	}
	n := int32(binary.LittleEndian.Uint32(size))
	if n == 0 {
		return nil, io.EOF
	}
	head, err := f.take(int64(n))
	if err != nil {
		return nil, err
	}
	meta := memory.NewBufferBytes(head)
	probe := ipc.NewMessage(meta, memory.NewBufferBytes(nil))
	length := probe.BodyLen()
	probe.Release()
	body, err := f.take(length)
	if err != nil {
		return nil, err
	}
	f.Release()
	f.msg = ipc.NewMessage(meta, memory.NewBufferBytes(body))
	return f.msg, nil
}

// bounded is an allocator that panics, as Arrow's reader does on what it cannot
// read, before it has given out more than left bytes.
type bounded struct {
	memory.Allocator
	left int
}

func (b *bounded) spend(n int) {
	if b.left -= n; n < 0 || b.left < 0 {
		panic("its columns are larger than the message")
	}
}

func (b *bounded) Allocate(n int) []byte {
	b.spend(n)
	return b.Allocator.Allocate(n)
}

func (b *bounded) Reallocate(n int, old []byte) []byte {
	b.spend(n - min(n, len(old)))
	return b.Allocator.Reallocate(n, old)
}

// checkRows makes sure that no reader of the rows can step beyond their buffers:
// Arrow's reader takes lengths and offsets as they come.
func checkRows(rec arrow.Record) error {
	for i, col := range rec.Columns() {
		if int64(col.Len()) != rec.NumRows() {
			return fmt.Errorf("column %s has %d rows of %d", rec.ColumnName(i), col.Len(), rec.NumRows())
		}
		if err := checkArray(col.Data()); err != nil {
			return fmt.Errorf("column %s: %w", rec.ColumnName(i), err)
		}
	}
	return nil
}

var errShort = errors.New("its buffers are too short for its rows")

// checkArray checks an array that starts at offset 0, as those read from a
// stream do. It knows the types of our schemas; of others it says so.
func checkArray(d arrow.ArrayData) error {
	const most = 1 << 31 // products of it and a width do not overflow
	n := d.Len()
	if n < 0 || n > most || d.Offset() != 0 {
		return errShort
	}
	if bits := d.Buffers()[0]; d.NullN() != 0 && (bits == nil || bits.Len() < (n+7)/8) {
		return errShort
	}
	switch dt := d.DataType().(type) {
	case *arrow.StringType:
		return checkOffsets(d, bufferLen(d, 2))
	case *arrow.ListType, *arrow.MapType:
		if err := checkArray(d.Children()[0]); err != nil {
			return err
		}
		return checkOffsets(d, d.Children()[0].Len())
	case *arrow.FixedSizeListType:
		if d.Children()[0].Len() < n*int(dt.Len()) {
			return errShort
		}
		return checkArray(d.Children()[0])
	case *arrow.StructType:
		for _, c := range d.Children() {
			if c.Len() < n {
				return errShort
			}
			if err := checkArray(c); err != nil {
				return err
			}
		}
		return nil
	case arrow.FixedWidthDataType:
		if n > 0 && bufferLen(d, 1) < (n*dt.BitWidth()+7)/8 {
			return errShort
		}
		return nil
	default:
		return fmt.Errorf("type %s is none of our messages'", dt)
	}
}

// checkOffsets checks the 32-bit offsets of n rows into limit elements.
func checkOffsets(d arrow.ArrayData, limit int) error {
	if d.Len() == 0 {
		return nil
	}
	if bufferLen(d, 1) < 4*(d.Len()+1) {
		return errShort
	}
	offsets := arrow.Int32Traits.CastFromBytes(d.Buffers()[1].Bytes())[:d.Len()+1]
	last := int32(0)
	for _, o := range offsets {
		if o < last {
			return errors.New("its offsets fall")
		}
		last = o
	}
	if int(last) > limit {
		return errShort
	}
	return nil
}

func bufferLen(d arrow.ArrayData, i int) int {
	if b := d.Buffers()[i]; b != nil {
		return b.Len()
	}
	return 0
}
