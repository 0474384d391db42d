package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Sentinels for what a caller decides on. Errors of this package wrap them together with the broker's own.
var (
	ErrOffsetOutOfRange  = errors.New("offset out of range")
	ErrFenced            = errors.New("fenced by a newer producer")
	ErrUnknownTopic      = errors.New("unknown topic or partition")
	ErrIllegalGeneration = errors.New("no longer a member of this group generation")
	ErrMessageTooLarge   = errors.New("message too large")
	ErrGroupInUse        = errors.New("the group has members")
	// ErrSequence means that the broker and the producer disagree on what was appended, or that the outcome of an
	// append is unknown. Going on would leave a gap: start again from the committed position.
	ErrSequence = errors.New("append stream broken")
)

// OffsetOutOfRangeError is ErrOffsetOutOfRange with the numbers: the log holds [Start, End).
type OffsetOutOfRangeError struct {
	Topic      string
	Partition  int32
	Offset     int64
	Start, End int64
}

// Error names the position and what the log holds.
func (e *OffsetOutOfRangeError) Error() string {
	side := "beyond the end"
	if e.Offset < e.Start {
		side = "below the start"
	}
	return fmt.Sprintf("%s[%d]: offset %d is %s of the log, which holds [%d, %d)", e.Topic, e.Partition, e.Offset, side, e.Start, e.End)
}

// Unwrap makes errors.Is(err, ErrOffsetOutOfRange) hold.
func (e *OffsetOutOfRangeError) Unwrap() error { return ErrOffsetOutOfRange }

// Class says what to do about an error.
type Class uint8

// Classes of errors.
const (
	Fatal     Class = iota // a person or a restart is needed; going on could lose or repeat something
	Retryable              // the same request may succeed later
	Poison                 // the data itself is at fault: the same bytes fail again
)

// String returns the class's name.
func (c Class) String() string { return [...]string{"fatal", "retryable", "poison"}[c] }

// Classify sorts an error of the Kafka side. Deadlines count as retryable: callers look at their own context first.
func Classify(err error) Class {
	switch {
	case err == nil:
		return Retryable
	case errors.Is(err, ErrOffsetOutOfRange), errors.Is(err, ErrFenced), errors.Is(err, ErrUnknownTopic),
		errors.Is(err, ErrIllegalGeneration), errors.Is(err, ErrSequence), errors.Is(err, ErrGroupInUse), errors.Is(err, ErrRecreated):
		return Fatal
	case errors.Is(err, ErrMessageTooLarge), errors.Is(err, ErrCorrupt):
		return Poison
	}
	var code kafka.Error
	if errors.As(err, &code) {
		return classifyCode(code)
	}
	return classifyLocal(err)
}

func classifyCode(code kafka.Error) Class {
	switch code {
	case kafka.InvalidMessage, // the broker saw a checksum mismatch: the bytes were damaged on the way
		kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable, kafka.ConcurrentTransactions, kafka.StaleBrokerEpoch,
		kafka.RebalanceInProgress, kafka.ReassignmentInProgress, kafka.Unknown:
		return Retryable
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge, kafka.InvalidRecord, kafka.InvalidTimestamp,
		kafka.InvalidMessageSize, kafka.UnsupportedCompressionType:
		return Poison
	}
	if code.Temporary() {
		return Retryable
	}
	return Fatal
}

func classifyLocal(err error) Class {
	var (
		unknownCA x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
		alert     tls.AlertError
	)
	if errors.As(err, &unknownCA) || errors.As(err, &hostname) || errors.As(err, &invalid) || errors.As(err, &record) ||
		errors.As(err, &verify) || errors.As(err, &alert) {
		return Fatal
	}
	var (
		netErr   net.Error
		protoErr protocol.Error // kafka-go could not make sense of a response: the connection is given up
	)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.As(err, &netErr), errors.As(err, &protoErr), errors.Is(err, errResponse):
		return Retryable
	}
	return Fatal
}

// fromCode turns a broker's error code into an error with the sentinel it stands for; nil for 0.
func fromCode(code kafka.Error) error {
	switch code {
	case 0:
		return nil
	case kafka.ProducerFenced, kafka.InvalidProducerEpoch, kafka.TransactionCoordinatorFenced, kafka.InvalidProducerIDMapping:
		return fmt.Errorf("%w: %w", ErrFenced, code)
	case kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.FencedInstanceID:
		return fmt.Errorf("%w: %w", ErrIllegalGeneration, code)
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge:
		return fmt.Errorf("%w: %w", ErrMessageTooLarge, code)
	case kafka.OutOfOrderSequenceNumber, kafka.UnknownProducerId:
		return fmt.Errorf("%w: %w", ErrSequence, code)
	}
	return code
}

// WithSentinel gives an error that kafka-go made from a broker's code the sentinel it stands for.
func WithSentinel(err error) error { return fromError(err) }

// fromError gives errors that kafka-go made from codes their sentinels.
func fromError(err error) error {
	var code kafka.Error
	if err == nil || !errors.As(err, &code) {
		return err
	}
	mapped := fromCode(code)
	if mapped == error(code) {
		return err
	}
	return mapped
}

func isUnknownTopic(err error) bool {
	return errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, kafka.UnknownTopicID) ||
		errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}
