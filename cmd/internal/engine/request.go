package engine

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// statementBytes limits a statement's own text, data of an INSERT in a format not included.
const statementBytes = 64 << 20

// headBytes of a body are looked at to find out whether it is an INSERT with its data.
const headBytes = 64 << 10

// request is a statement as the HTTP interface received it.
type request struct {
	sql      string            // the statement, where it is not an insertion
	insert   insertion         // an INSERT and ...
	data     io.Reader         // ... its data, not yet read; nil where there is none
	database string            // current database
	settings map[string]string // for this statement
	params   map[string]string // values of {name:Type}
	format   string            // of the output, unless the statement says so
	readOnly bool              // GET must not change anything
	revision int               // the client's protocol revision; 0 where it sent none
	encoding encoding          // of the reply
	queryID  string
}

// protocolParams are read here or have no meaning here; every other parameter is a setting.
var protocolParams = map[string]bool{
	"add_http_cors_header": true, "buffer_size": true, "client_protocol_version": true, "close_session": true,
	"compress": true, "database": true, "decompress": true, "default_format": true, "enable_http_compression": true,
	"hide_version": true, "http_headers_progress_interval_ms": true, "http_zlib_compression_level": true,
	"network_compression_method": true, "network_zstd_compression_level": true, "password": true, "query": true,
	"query_id": true, "quota_key": true, "role": true, "send_progress_in_http_headers": true, "session_check": true,
	"session_id": true, "session_timeout": true, "stacktrace": true, "user": true, "wait_end_of_query": true,
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// parseRequest reads the parameters, and the body as far as it is the statement.
func parseRequest(w http.ResponseWriter, r *http.Request, maxBodyBytes int64) (*request, error) {
	query := r.URL.Query()
	req := &request{
		database: firstOf(query.Get("database"), r.Header.Get("X-ClickHouse-Database"), "default"),
		format:   firstOf(query.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated"),
		queryID:  firstOf(query.Get("query_id"), rand.Text()),
		readOnly: r.Method == http.MethodGet || r.Method == http.MethodHead,
		encoding: replyEncoding(query, r.Header),
		settings: map[string]string{},
		params:   map[string]string{},
	}
	if text := query.Get("client_protocol_version"); text != "" {
		revision, err := strconv.Atoi(text)
		if err != nil {
			return nil, refusal(codeSyntax, "client_protocol_version %q is no number", text)
		}
		req.revision = revision
	}
	if err := req.parseSettings(query); err != nil {
		return nil, err
	}
	body, err := decodedBody(w, r, query.Get("decompress") == "1", maxBodyBytes)
	if err != nil {
		return nil, err
	}
	if text := query.Get("query"); text != "" {
		err = req.fromParameter(text, body)
	} else {
		err = req.fromBody(body)
	}
	if err == nil && req.data == nil && strings.TrimSpace(req.sql) == "" {
		err = refusal(codeSyntax, "the statement is empty")
	}
	return req, err
}

func (req *request) parseSettings(query url.Values) error {
	for name, values := range query {
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam:
			req.params[param] = values[0]
		case protocolParams[name]:
		case !settingName.MatchString(name):
			return refusal(codeSyntax, "%q is no name of a setting", name)
		default:
			req.settings[name] = values[0]
		}
	}
	return nil
}

// fromParameter takes the statement from ?query=; the body is an INSERT's data, or the statement's end.
func (req *request) fromParameter(sql string, body io.Reader) error {
	insert, ok := parseInsertion(sql)
	if ok {
		req.insert = insert
		req.data = io.MultiReader(strings.NewReader(sql[insert.data:]), body)
		return nil
	}
	rest, err := readStatement(body)
	if err != nil {
		return err
	}
	req.sql = sql
	if len(rest) > 0 {
		req.sql += "\n" + string(rest)
	}
	return nil
}

// fromBody takes the statement from the body; an INSERT's data follows it there.
func (req *request) fromBody(body io.Reader) error {
	head := make([]byte, headBytes)
	n, err := readFull(body, head)
	head = head[:n]
	rest := body
	if err == io.EOF {
		rest = strings.NewReader("")
	} else if err != nil {
		return bodyError(err)
	}
	text := string(head)
	if insert, ok := parseInsertion(text); ok {
		req.insert = insert
		req.data = io.MultiReader(strings.NewReader(text[insert.data:]), rest)
		return nil
	}
	tail, err := readStatement(rest)
	if err != nil {
		return err
	}
	req.sql = text + string(tail)
	return nil
}

// readFull fills buf, or returns what there is with the reader's own error: unlike io.ReadFull it tells a body that
// ended from one that broke off.
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

func readStatement(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, statementBytes+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if len(text) > statementBytes {
		return nil, refusal(codeTooManyBytes, "the statement is longer than %d bytes", statementBytes)
	}
	return text, nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// session is what a connection of the engine must be set to before the statement runs.
func (req *request) session() session {
	return session{database: req.database, settings: settingList(req.settings)}
}

func quoted(text string, quote byte) string {
	replacer := strings.NewReplacer(`\`, `\\`, string(quote), `\`+string(quote))
	return fmt.Sprintf("%c%s%c", quote, replacer.Replace(text), quote)
}
