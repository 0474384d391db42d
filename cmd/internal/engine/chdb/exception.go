package chdb

import (
	"regexp"
	"strconv"
	"strings"
)

// Exception is a refusal by the engine. Message starts with "Code: N. DB::Exception: ", as ClickHouse servers write it.
type Exception struct {
	Code    int
	Message string
}

func (e *Exception) Error() string { return e.Message }

// codeUnknown is ClickHouse's UNKNOWN_EXCEPTION.
const codeUnknown = 1002

var codePattern = regexp.MustCompile(`Code: (\d+)\.`)

// asException reads the engine's error text; a prefix before the code (a stage, a row number) is dropped.
func asException(text string) *Exception {
	text = strings.TrimSpace(text)
	if at := codePattern.FindStringSubmatchIndex(text); at != nil {
		if code, err := strconv.Atoi(text[at[2]:at[3]]); err == nil {
			return &Exception{Code: code, Message: text[at[0]:]}
		}
	}
	return &Exception{
		Code:    codeUnknown,
		Message: "Code: 1002. DB::Exception: " + text + " (UNKNOWN_EXCEPTION)",
	}
}
