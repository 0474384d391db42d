package engine

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"profilestream/cmd/internal/engine/chdb"
)

// codecs are the ways in which a body may arrive.
var codecs = map[string]struct {
	contentEncoding string
	blocks          bool
	encode          func(testing.TB, []byte) []byte
}{
	"gzip":        {"gzip", false, throughWriter(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })},
	"deflate":     {"deflate", false, throughWriter(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })},
	"br":          {"br", false, throughWriter(func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, brotli.BestSpeed) })},
	"lz4":         {"lz4", false, encodeLZ4},
	"zstd":        {"zstd", false, encodeZstd},
	"lz4 blocks":  {"", true, blockEncoder(compress.LZ4)},
	"zstd blocks": {"", true, blockEncoder(compress.ZSTD)},
	"bare blocks": {"", true, blockEncoder(compress.None)},
}

func throughWriter(open func(io.Writer) io.WriteCloser) func(testing.TB, []byte) []byte {
	return func(tb testing.TB, data []byte) []byte {
		var out bytes.Buffer
		w := open(&out)
		if _, err := w.Write(data); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
		return out.Bytes()
	}
}

// encodeLZ4 keeps to small blocks: a reader makes its buffers as large as the body's blocks may be.
func encodeLZ4(tb testing.TB, data []byte) []byte {
	return throughWriter(func(out io.Writer) io.WriteCloser {
		w := lz4.NewWriter(out)
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
			tb.Fatal(err)
		}
		return w
	})(tb, data)
}

func encodeZstd(tb testing.TB, data []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func blockEncoder(method compress.Method) func(testing.TB, []byte) []byte {
	return func(tb testing.TB, data []byte) []byte {
		var out bytes.Buffer
		w := blockWriter{&out, compress.NewWriter(compress.LevelZero, method)}
		for part := range 4 { // several blocks
			if _, err := w.Write(data[part*len(data)/4 : (part+1)*len(data)/4]); err != nil {
				tb.Fatal(err)
			}
		}
		return out.Bytes()
	}
}

func decode(encoding string, blocks bool, body []byte, maxBytes int64) ([]byte, error) {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Encoding", encoding)
	decoded, err := decodedBody(httptest.NewRecorder(), r, blocks, maxBytes)
	if err != nil {
		return nil, err
	}
	data, release, err := spool(decoded, testSpoolBytes)
	if err != nil {
		return nil, err
	}
	defer release()
	return io.ReadAll(data)
}

func code(err error) int {
	var exception *chdb.Exception
	if errors.As(err, &exception) {
		return exception.Code
	}
	return 0
}

// testSpoolBytes makes bodies of some kilobytes go through a file.
const testSpoolBytes = 16 << 10

// payload compresses to about half.
func payload(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte('a' + random.IntN(16))
	}
	return data
}

func TestBodyRoundTrip(t *testing.T) {
	for name, c := range codecs {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 4096, testSpoolBytes, testSpoolBytes + 1} {
				data := payload(size)
				got, err := decode(c.contentEncoding, c.blocks, c.encode(t, data), 1<<30)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes came back as %d, error %v", size, len(got), err)
				}
			}
		})
	}
}

// A body cut anywhere is refused, but for block bodies cut between two blocks: those are whole bodies of fewer blocks,
// and the HTTP layer knows where such a body had to end.
func TestTruncatedBodyIsRefused(t *testing.T) {
	data := payload(600)
	for name, c := range codecs {
		t.Run(name, func(t *testing.T) {
			whole := c.encode(t, data)
			for cut := 1; cut < len(whole); cut++ {
				got, err := decode(c.contentEncoding, c.blocks, whole[:cut], 1<<30)
				if err == nil && (!c.blocks || len(got)%(len(data)/4) != 0) {
					t.Fatalf("cut at %d of %d: %d bytes were taken for a whole body", cut, len(whole), len(got))
				}
			}
		})
	}
}

func TestCorruptBodyIsRefused(t *testing.T) {
	data := payload(600)
	for name, c := range codecs {
		if name == "br" {
			continue // carries no checksum
		}
		t.Run(name, func(t *testing.T) {
			whole := c.encode(t, data)
			for at := 0; at < len(whole); at += 7 {
				corrupt := bytes.Clone(whole)
				corrupt[at] ^= 0x10
				got, err := decode(c.contentEncoding, c.blocks, corrupt, 1<<30)
				if err == nil && !bytes.Equal(got, data) {
					t.Fatalf("byte %d of %d flipped: other data were taken without an error", at, len(whole))
				}
			}
		})
	}
}

func TestBodyRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		encoding string
		blocks   bool
		body     []byte
		maxBytes int64
		want     int
	}{
		"unknown encoding":          {"snappy", false, []byte("x"), 1 << 20, codeNotImplemented},
		"not gzip":                  {"gzip", false, []byte("plain text"), 1 << 20, codeCannotDecode},
		"not blocks":                {"", true, bytes.Repeat([]byte("plain text"), 10), 1 << 20, codeCannotDecode},
		"empty gzip":                {"gzip", false, nil, 1 << 20, codeCannotReadAll},
		"too large":                 {"", false, payload(1001), 1000, codeTooManyBytes},
		"too large when decoded":    {"gzip", false, throughWriter(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })(t, make([]byte, 1<<20)), 10000, codeTooManyBytes},
		"too large in a block":      {"", true, blockEncoder(compress.LZ4)(t, make([]byte, 1<<20)), 10000, codeTooManyBytes},
		"too large beyond a spool":  {"", false, payload(testSpoolBytes + 2), testSpoolBytes + 1, codeTooManyBytes},
		"exactly the limit is fine": {"", false, payload(1000), 1000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(c.encoding, c.blocks, c.body, c.maxBytes)
			if code(err) != c.want || (err == nil) != (c.want == 0) {
				t.Errorf("error %v, want code %d", err, c.want)
			}
		})
	}
}

func FuzzBlockBody(f *testing.F) {
	f.Add(blockEncoder(compress.LZ4)(f, payload(100)))
	f.Add(blockEncoder(compress.ZSTD)(f, payload(100)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := decode("", true, body, 1<<16); err == nil && len(got) == 0 && len(body) > 0 {
			t.Errorf("%d bytes were taken for an empty body", len(body))
		}
	})
}
