package engine

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// encoding is how a reply's body is sent.
type encoding int

const (
	plain encoding = iota
	lz4Blocks
	zstdBlocks
	gzipStream
)

// blockBytes of output make one compressed block.
const blockBytes = 1 << 20

func replyEncoding(query url.Values, header http.Header) encoding {
	switch {
	case query.Get("compress") == "1" && strings.EqualFold(query.Get("network_compression_method"), "zstd"):
		return zstdBlocks
	case query.Get("compress") == "1":
		return lz4Blocks
	case query.Get("enable_http_compression") == "1" && strings.Contains(header.Get("Accept-Encoding"), "gzip"):
		return gzipStream
	}
	return plain
}

// contentTypes of the formats that are not plain text.
var contentTypes = map[string]string{
	"JSON": "application/json; charset=UTF-8", "JSONCompact": "application/json; charset=UTF-8",
	"JSONEachRow": "application/x-ndjson; charset=UTF-8",
	"CSV":         "text/csv; charset=UTF-8; header=absent", "TabSeparated": "text/tab-separated-values; charset=UTF-8",
	"Native": "application/octet-stream", "RowBinary": "application/octet-stream", "Parquet": "application/octet-stream",
	"Arrow": "application/octet-stream", "ArrowStream": "application/octet-stream",
}

// bodyWriter encodes a reply's body. note writes text that clients must find unencoded, where blocks are compressed.
type bodyWriter interface {
	io.WriteCloser
	note(text []byte) error
}

func newBodyWriter(w http.ResponseWriter, format string, e encoding) bodyWriter {
	contentType := contentTypes[format]
	if contentType == "" {
		contentType = "text/plain; charset=UTF-8"
	}
	w.Header().Set("Content-Type", contentType)
	switch e {
	case lz4Blocks:
		return blockWriter{w, compress.NewWriter(compress.LevelZero, compress.LZ4)}
	case zstdBlocks:
		return blockWriter{w, compress.NewWriter(compress.LevelZero, compress.ZSTD)}
	case gzipStream:
		w.Header().Set("Content-Encoding", "gzip")
		return gzipWriter{gzip.NewWriter(w)}
	}
	return plainWriter{w}
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

func (p plainWriter) note(text []byte) error {
	_, err := p.Write(text)
	return err
}

type gzipWriter struct{ *gzip.Writer }

func (g gzipWriter) note(text []byte) error {
	_, err := g.Write(text)
	return err
}

// blockWriter writes ClickHouse's compressed blocks.
type blockWriter struct {
	w      io.Writer
	blocks *compress.Writer
}

func (b blockWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > written {
		part := p[written:min(written+blockBytes, len(p))]
		if err := b.blocks.Compress(part); err != nil {
			return written, err
		}
		if _, err := b.w.Write(b.blocks.Data); err != nil {
			return written, err
		}
		written += len(part)
	}
	return written, nil
}

func (b blockWriter) Close() error { return nil }

func (b blockWriter) note(text []byte) error {
	_, err := blockWriter{b.w, compress.NewWriter(compress.LevelZero, compress.None)}.Write(text)
	return err
}
