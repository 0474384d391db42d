package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"profilestream/cmd/internal/engine/chdb"
)

// The refusals of this package, in ClickHouse's numbers and names.
const (
	codeUnexpectedEOF  = 32
	codeCannotReadAll  = 33
	codeNotImplemented = 48
	codeSyntax         = 62
	codeNoData         = 108
	codeReadOnly       = 164
	codeTooManyBytes   = 307
	codeAuthentication = 516
	codeCannotDecode   = 271
)

var codeNames = map[int]string{
	codeUnexpectedEOF:  "ATTEMPT_TO_READ_AFTER_EOF",
	codeCannotReadAll:  "CANNOT_READ_ALL_DATA",
	codeNotImplemented: "NOT_IMPLEMENTED",
	codeSyntax:         "SYNTAX_ERROR",
	codeNoData:         "NO_DATA_TO_INSERT",
	codeReadOnly:       "READONLY",
	codeTooManyBytes:   "TOO_MANY_BYTES",
	codeAuthentication: "AUTHENTICATION_FAILED",
	codeCannotDecode:   "CANNOT_DECOMPRESS",
}

func refusal(code int, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &chdb.Exception{
		Code:    code,
		Message: fmt.Sprintf("Code: %d. DB::Exception: %s (%s)", code, text, codeNames[code]),
	}
}

// asException gives every error the form that clients parse.
func asException(err error) *chdb.Exception {
	var exception *chdb.Exception
	if errors.As(err, &exception) {
		return exception
	}
	return &chdb.Exception{Code: 1002, Message: "Code: 1002. DB::Exception: " + err.Error() + " (UNKNOWN_EXCEPTION)"}
}

// httpStatus follows ClickHouse's own table: what the client can mend is 4xx.
func httpStatus(code int) int {
	switch code {
	case codeAuthentication, 194:
		return http.StatusUnauthorized
	case 36, 46, 47, 60, 81, 115: // unknown function, identifier, table, database, setting
		return http.StatusNotFound
	case codeTooManyBytes:
		return http.StatusRequestEntityTooLarge
	case 6, 26, 27, 43, 44, 53, 69, 70, 72, 117, 131, 636,
		codeSyntax, codeCannotReadAll, codeCannotDecode, codeUnexpectedEOF, codeNoData:
		return http.StatusBadRequest
	case codeNotImplemented:
		return http.StatusNotImplemented
	}
	return http.StatusInternalServerError
}

// writeException is the whole reply; nothing of a result has been sent yet.
func writeException(w http.ResponseWriter, err error) {
	exception := asException(err)
	header := w.Header()
	header.Del("Content-Encoding")
	header.Del("Content-Length")
	header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(exception.Code))
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(httpStatus(exception.Code))
	fmt.Fprintln(w, exception.Message) // the client may be gone; there is nobody else to tell
}
