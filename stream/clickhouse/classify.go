package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	ch "github.com/ClickHouse/clickhouse-go/v2"
)

// Class says what to do about a failed insert.
type Class uint8

const (
	// Retryable failures pass: the same block is sent again.
	Retryable Class = iota
	// Poison means that some row of the block is refused: the block is split.
	Poison
	// Fatal means that no block can succeed before a person has acted.
	Fatal
)

// String is the class as metrics and logs name it.
func (c Class) String() string { return [...]string{"retryable", "poison", "fatal"}[c] }

// refusal is an exception that blames the data. It shows no more than the
// server's code: the message may quote the row, and errors get logged.
type refusal struct{ ex *ch.Exception }

func (r *refusal) Error() string {
	return fmt.Sprintf("clickhouse refuses it with code %d %s", r.ex.Code, r.ex.CodeName)
}

func (r *refusal) Unwrap() error { return r.ex }

// poisonCodes are the server's error codes that blame the data.
var poisonCodes = []int32{
	6,   // CANNOT_PARSE_TEXT
	26,  // CANNOT_PARSE_QUOTED_STRING
	27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
	38,  // CANNOT_PARSE_DATE
	41,  // CANNOT_PARSE_DATETIME
	53,  // TYPE_MISMATCH
	69,  // ARGUMENT_OUT_OF_BOUND
	70,  // CANNOT_CONVERT_TYPE
	72,  // CANNOT_PARSE_NUMBER
	117, // INCORRECT_DATA
	128, // TOO_LARGE_ARRAY_SIZE
	131, // TOO_LARGE_STRING_SIZE
	321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
	349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
	395, // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
	407, // DECIMAL_OVERFLOW
	469, // VIOLATED_CONSTRAINT
}

// fatalCodes are the server's error codes that blame the configuration, the
// schema or the rights.
var fatalCodes = []int32{
	10,  // NOT_FOUND_COLUMN_IN_BLOCK
	16,  // NO_SUCH_COLUMN_IN_TABLE
	47,  // UNKNOWN_IDENTIFIER
	60,  // UNKNOWN_TABLE
	62,  // SYNTAX_ERROR
	73,  // UNKNOWN_FORMAT
	81,  // UNKNOWN_DATABASE
	115, // UNKNOWN_SETTING
	192, // UNKNOWN_USER
	193, // WRONG_PASSWORD
	194, // REQUIRED_PASSWORD
	452, // SETTING_CONSTRAINT_VIOLATION
	497, // ACCESS_DENIED
	516, // AUTHENTICATION_FAILED
}

// Classify sorts the error of an insert or query. An unknown error is
// retryable: waiting loses nothing, whereas calling it poison would divert
// good rows.
func Classify(err error) Class {
	var ex *ch.Exception
	if errors.As(err, &ex) {
		switch {
		case slices.Contains(poisonCodes, ex.Code):
			return Poison
		case slices.Contains(fatalCodes, ex.Code):
			return Fatal
		}
		return Retryable
	}
	var enc *encodeError
	if errors.As(err, &enc) || errors.Is(err, context.Canceled) {
		return Fatal
	}
	return Retryable
}
