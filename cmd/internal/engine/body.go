package engine

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// spoolMemoryBytes of a body are kept in memory; the rest of a larger one goes to a file.
const spoolMemoryBytes = 8 << 20

// decodedBody undoes the request's Content-Encoding and ClickHouse's own block compression (decompress=1), and stops
// at the limit, which holds for the bytes received and for the bytes decoded.
func decodedBody(w http.ResponseWriter, r *http.Request, blocks bool, maxBytes int64) (io.Reader, error) {
	body, err := contentDecoder(r.Header.Get("Content-Encoding"), http.MaxBytesReader(w, r.Body, maxBytes))
	if err != nil {
		return nil, bodyError(err)
	}
	if blocks {
		body = newBlockReader(body)
	}
	return &limitReader{source: body, left: maxBytes}, nil
}

func contentDecoder(encoding string, body io.Reader) (io.Reader, error) {
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		return gzip.NewReader(body)
	case "deflate":
		return zlib.NewReader(body)
	case "br":
		return brotli.NewReader(body), nil
	case "lz4":
		return lz4.NewReader(body), nil
	case "zstd":
		decoder, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	}
	return nil, refusal(codeNotImplemented, "unsupported Content-Encoding %q", encoding)
}

// blockReader decodes ClickHouse's compressed blocks. compress.Reader reports a body that ends inside a block, right
// after the block's header, as a plain end; here every end that is not between blocks is an error.
type blockReader struct {
	source  countReader
	blocks  *compress.Reader
	decoded int64 // source.read at the last complete block
}

func newBlockReader(source io.Reader) *blockReader {
	b := &blockReader{source: countReader{source: source}}
	b.blocks = compress.NewReader(&b.source)
	return b
}

func (b *blockReader) Read(p []byte) (int, error) {
	n, err := b.blocks.Read(p)
	if err == nil {
		b.decoded = b.source.read
		return n, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if b.source.read == b.decoded && b.source.ended {
			return n, io.EOF
		}
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// countReader counts what it passes on, and tells a clean end from a broken one.
type countReader struct {
	source io.Reader
	read   int64
	ended  bool
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	c.read += int64(n)
	c.ended = err == io.EOF
	return n, err
}

// limitReader fails, instead of ending, when there is more than the limit.
type limitReader struct {
	source io.Reader
	left   int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	n, err := l.source.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return 0, &http.MaxBytesError{}
	}
	return n, err
}

// spool reads all of the body, so that what the engine is given cannot break off; what does not fit in memoryBytes
// goes to a file. release frees the file, if any.
func spool(body io.Reader, memoryBytes int64) (data io.Reader, release func(), err error) {
	var memory bytes.Buffer
	switch _, err := io.CopyN(&memory, body, memoryBytes); {
	case err == io.EOF:
		return &memory, func() {}, nil
	case err != nil:
		return nil, nil, bodyError(err)
	}
	file, err := os.CreateTemp("", "engine-body-*")
	if err != nil {
		return nil, nil, fmt.Errorf("spooling a body: %w", err)
	}
	release = func() { file.Close() }
	if err := os.Remove(file.Name()); err != nil {
		release()
		return nil, nil, fmt.Errorf("spooling a body: %w", err)
	}
	if _, err := io.Copy(file, body); err != nil {
		release()
		return nil, nil, bodyError(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		release()
		return nil, nil, fmt.Errorf("spooling a body: %w", err)
	}
	return io.MultiReader(&memory, file), release, nil
}

// bodyError says what was wrong with a body in a form that clients can branch on.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refusal(codeTooManyBytes, "the request's body is larger than this engine takes; nothing was inserted")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refusal(codeCannotReadAll, "the request's body broke off; nothing was inserted")
	case asException(err).Code == codeNotImplemented:
		return err
	}
	return refusal(codeCannotDecode, "the request's body cannot be decoded, nothing was inserted: %v", err)
}
