package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is a record batch's compression, numbered as on the wire.
type Codec uint8

// Codecs. Gzip is read only.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// String returns the name Kafka's settings use.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

// MaxDecodedBytes bounds what one batch may decompress to.
const MaxDecodedBytes = 128 << 20

// The encoder and decoder are stateless for whole-buffer calls and safe to share; made on first use because they keep
// megabytes of tables.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		panic("bug: zstd encoder options: " + err.Error())
	}
	return e
})

var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxDecodedBytes), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		panic("bug: zstd decoder options: " + err.Error())
	}
	return d
})

var (
	lz4Compressors = sync.Pool{New: func() any { return new(lz4.Compressor) }}
	lz4Readers     = sync.Pool{New: func() any { return &lz4Source{r: lz4.NewReader(nil)} }}
	zstdReaders    = sync.Pool{New: newZstdSource}
	gzipReaders    = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

type lz4Source struct {
	src bytes.Reader
	r   *lz4.Reader
}

type zstdSource struct {
	src bytes.Reader
	r   *zstd.Decoder
}

func newZstdSource() any {
	r, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxDecodedBytes), zstd.WithDecoderMaxWindow(8<<20),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1)) // one: it starts no goroutines
	if err != nil {
		panic("bug: zstd decoder options: " + err.Error())
	}
	return &zstdSource{r: r}
}

// lz4Header is a frame header: magic, version 1 with independent blocks and no checksums, blocks of at most 256 KiB,
// and the header's own checksum (of the two bytes before it, so constant).
var lz4Header = []byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x50, 0xfb}

const lz4BlockBytes = 256 << 10

// compress appends the compressed form of src to dst.
func compress(c Codec, dst, src []byte) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Snappy: // one raw block: every client and broker reads it
		n := len(dst)
		dst = grow(dst, s2.MaxEncodedLen(len(src)))
		out := s2.EncodeSnappy(dst[n:cap(dst)], src)
		return dst[:n+len(out)], nil
	case LZ4:
		return compressLZ4(dst, src), nil
	case Zstd:
		return zstdEncoder().EncodeAll(src, dst), nil
	}
	return nil, fmt.Errorf("compressing a batch: %w: %v", errCodec, c)
}

func compressLZ4(dst, src []byte) []byte {
	z := lz4Compressors.Get().(*lz4.Compressor)
	defer lz4Compressors.Put(z)
	dst = append(dst, lz4Header...)
	for len(src) > 0 {
		block := src[:min(len(src), lz4BlockBytes)]
		src = src[len(block):]
		n := len(dst)
		dst = grow(dst, 4+lz4.CompressBlockBound(len(block)))
		size, err := z.CompressBlock(block, dst[n+4:cap(dst)])
		if err != nil || size == 0 || size >= len(block) { // incompressible: stored, marked by the top bit
			size = copy(dst[n+4:cap(dst)], block)
			binary.LittleEndian.PutUint32(dst[n:n+4:cap(dst)], uint32(size)|1<<31)
		} else {
			binary.LittleEndian.PutUint32(dst[n:n+4:cap(dst)], uint32(size))
		}
		dst = dst[:n+4+size]
	}
	return append(dst, 0, 0, 0, 0)
}

// decompress decodes p into buf's room, at most limit bytes, and returns the decoded bytes.
func decompress(c Codec, p, buf []byte, limit int) ([]byte, error) {
	switch c {
	case None:
		return p, nil
	case Zstd:
		return decompressZstd(p, buf[:0], limit)
	case LZ4:
		s := lz4Readers.Get().(*lz4Source)
		defer lz4Readers.Put(s)
		s.src.Reset(p)
		s.r.Reset(&s.src)
		return readBounded(s.r, buf[:0], limit)
	case Gzip:
		r := gzipReaders.Get().(*gzip.Reader)
		defer gzipReaders.Put(r)
		if err := r.Reset(bytes.NewReader(p)); err != nil {
			return nil, err
		}
		return readBounded(r, buf[:0], limit)
	case Snappy:
		if bytes.HasPrefix(p, xerialMagic) {
			return decompressXerial(p, buf[:0], limit)
		}
		return decodeSnappy(p, buf[:0], limit)
	}
	return nil, fmt.Errorf("%w: %v", errCodec, c)
}

func errTooLarge(limit int) error { return fmt.Errorf("decompresses to more than %d bytes", limit) }

// decompressZstd takes memory for the size a frame claims only where that is plausible. What claims no size or a huge
// one is decoded as a stream, where memory follows what really comes out.
func decompressZstd(p, dst []byte, limit int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(p); err != nil {
		return nil, err
	}
	if h.HasFCS && h.FrameContentSize <= uint64(min(limit, 64*len(p)+64<<10)) {
		out, err := zstdDecoder().DecodeAll(p, grow(dst, int(h.FrameContentSize)))
		if err != zstd.ErrDecoderSizeExceeded { // several frames
			return out, err
		}
	}
	s := zstdReaders.Get().(*zstdSource)
	defer zstdReaders.Put(s)
	s.src.Reset(p)
	if err := s.r.Reset(&s.src); err != nil {
		return nil, err
	}
	return readBounded(s.r, dst, limit)
}

// decodeSnappy appends one raw snappy block's content to dst. A snappy block cannot expand more than about 21 times,
// so a length that is more than 64 times the input is a lie and is refused before memory is taken for it.
func decodeSnappy(p, dst []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(p)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) || n > 64*len(p)+64 {
		return nil, errTooLarge(min(limit, 64*len(p)+64))
	}
	at := len(dst)
	dst = grow(dst, n)
	if _, err := s2.Decode(dst[at:at+n:cap(dst)], p); err != nil {
		return nil, err
	}
	return dst[:at+n], nil
}

// Java clients frame snappy in blocks: magic, two version numbers, then length-prefixed blocks.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

func decompressXerial(p, dst []byte, limit int) ([]byte, error) {
	if len(p) < 16 {
		return nil, io.ErrUnexpectedEOF
	}
	var err error
	for p = p[16:]; len(p) > 0; {
		if len(p) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		l := int64(binary.BigEndian.Uint32(p))
		if l > int64(len(p)-4) {
			return nil, io.ErrUnexpectedEOF
		}
		if dst, err = decodeSnappy(p[4:4+l], dst, limit); err != nil {
			return nil, err
		}
		p = p[4+l:]
	}
	return dst, nil
}

func readBounded(r io.Reader, buf []byte, limit int) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = grow(buf, 4096)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > limit {
			return nil, errTooLarge(limit)
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// grow makes room for n more bytes after len(b).
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	out := make([]byte, len(b), max(2*cap(b), len(b)+n))
	copy(out, b)
	return out
}
