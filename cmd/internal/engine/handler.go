package engine

import (
	"bufio"
	"io"
	"net/http"
	"strings"

	"profilestream/cmd/internal/engine/chdb"
)

// streamable formats can be sent as the engine produces them; others need the whole result for their head or foot.
var streamable = map[string]bool{
	"Native": true, "RowBinary": true, "TabSeparated": true, "TSV": true, "TabSeparatedRaw": true, "TSVRaw": true,
	"CSV": true, "JSONEachRow": true, "JSONLines": true, "NDJSON": true, "JSONCompactEachRow": true, "LineAsString": true,
}

// ServeHTTP answers one statement.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-ClickHouse-Server-Display-Name", s.identity.host)
	header.Set("X-ClickHouse-Timezone", s.identity.timezone)
	switch {
	case crossOrigin(r, !s.config.AllowRemote):
		http.Error(w, "requests of other origins are not answered", http.StatusForbidden)
		return
	case r.URL.Path == "/ping", r.URL.Path == "/" && r.Method == http.MethodGet && r.URL.Query().Get("query") == "":
		io.WriteString(w, "Ok.\n")
		return
	case r.URL.Path != "/":
		http.NotFound(w, r)
		return
	case !authorized(r):
		writeException(w, refusal(codeAuthentication, "there is one user, default, and it has no password"))
		return
	}
	req, err := parseRequest(w, r, s.config.MaxBodyBytes)
	if err != nil {
		writeException(w, err)
		return
	}
	header.Set("X-ClickHouse-Query-Id", req.queryID)
	out := newReply(w, req)
	if req.data != nil {
		out.finish(s.insert(r, req, out))
		return
	}
	out.finish(s.run(r, req, out))
}

// insert stores a body whose every byte has arrived.
func (s *Server) insert(r *http.Request, req *request, out *reply) error {
	if req.readOnly {
		return refusal(codeReadOnly, "GET does not change anything; use POST")
	}
	data, release, err := spool(req.data, spoolMemoryBytes)
	if err != nil {
		return err
	}
	defer release()
	buffered := bufio.NewReader(data)
	if _, err := buffered.Peek(1); err != nil {
		return refusal(codeNoData, "an INSERT in format %s came without data", req.insert.format)
	}
	return s.withConn(r, req, func(conn *chdb.Conn) error {
		stats, err := conn.Insert(req.insert.sql, req.insert.format, buffered)
		if err != nil {
			return err
		}
		out.summary(stats)
		return nil
	})
}

// run executes a statement and sends its result.
func (s *Server) run(r *http.Request, req *request, out *reply) error {
	if isHandshake(req.sql) && out.format == "Native" && req.revision >= nativeWithoutInfoRevision {
		return out.write(s.identity.handshake())
	}
	return s.withConn(r, req, func(conn *chdb.Conn) error {
		if err := permitted(conn, req); err != nil {
			return err
		}
		if isSelect(req.sql) && streamable[out.format] {
			err := conn.Stream(req.sql, out.format, req.params, out.write)
			// Refused before it ran, so it can run the other way.
			if err == nil || !strings.Contains(err.Error(), "Streaming query is not supported") {
				return err
			}
		}
		result, err := conn.Query(req.sql, out.format, req.params)
		if err != nil {
			return err
		}
		defer result.Free()
		out.summary(result.Stats())
		if len(result.Bytes()) == 0 {
			return nil
		}
		return out.write(result.Bytes())
	})
}

// permitted refuses, before it runs, what the engine would take and silently do something else with.
func permitted(conn *chdb.Conn, req *request) error {
	class, statements := conn.Classify(req.sql)
	switch {
	case statements > 1:
		return refusal(codeSyntax, "%d statements in one request; send them one by one", statements)
	case class == chdb.Control && stopsEngine(req.sql):
		return refusal(codeNotImplemented, "the engine is stopped by a signal, not by a statement")
	case class == chdb.Control && !isSystem(req.sql):
		return refusal(codeNotImplemented, "SET, USE and temporary tables need a session, which this engine does not keep; "+
			"give settings and the database with each request")
	case req.readOnly && class != chdb.ReadOnly && class != chdb.Unknown:
		return refusal(codeReadOnly, "GET does not change anything; use POST")
	case class == chdb.Unknown && statements == 0:
		return unparsable(conn, req)
	}
	return nil
}

// unparsable lets the engine say what is wrong: it explains most texts that are no statement. Some, such as a lone
// comment or undecoded bytes, it takes as nothing to do, and those are refused here.
func unparsable(conn *chdb.Conn, req *request) error {
	result, err := conn.Query("EXPLAIN AST "+req.sql, "Null", nil)
	if err != nil {
		return err
	}
	result.Free()
	return refusal(codeSyntax, "the text is not a statement")
}

// withConn runs use on a connection of the request's session.
func (s *Server) withConn(r *http.Request, req *request, use func(*chdb.Conn) error) error {
	session := req.session()
	conn, err := s.pool.acquire(r.Context(), session)
	if err != nil {
		return err
	}
	err = use(conn)
	s.pool.release(conn, session, err != nil)
	return err
}
