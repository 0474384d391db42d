package wire

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// ErrRecreated: the topic was deleted and made anew, so that offsets of before name other records now.
var ErrRecreated = errors.New("topic was deleted and made anew")

// RecreatedError is ErrRecreated with the ids.
type RecreatedError struct{ Topic, Was, Is string }

// Error names the topic and both ids.
func (e *RecreatedError) Error() string {
	return fmt.Sprintf("%s: the topic was deleted and made anew: its id is %s, and was %s", e.Topic, e.Is, e.Was)
}

// Unwrap makes errors.Is(err, ErrRecreated) hold.
func (e *RecreatedError) Unwrap() error { return ErrRecreated }

// metadataVersion is the first version of Metadata that tells ids; kafka-go speaks older ones.
const metadataVersion = 10

// TopicID returns the id that the cluster gave a topic when it was made, in hexadecimal, as the leader of a partition
// of it knows it. It is empty where the cluster tells none: Kafka before 2.8 and some that only speak its protocol.
func (c *Client) TopicID(ctx context.Context, topic string, partition int32) (id string, err error) {
	err = c.retry(ctx, "reading the id of topic "+topic, func(ctx context.Context) error {
		id, err = c.topicID(ctx, topic, partition)
		return err
	})
	return id, err
}

func (c *Client) topicID(ctx context.Context, topic string, partition int32) (string, error) {
	ok, err := c.tellsIDs(ctx)
	if err != nil || !ok {
		return "", err
	}
	req := &topicIDRequest{clientID: c.cfg.ClientID, topic: topic, partition: partition}
	if _, err := c.transport.RoundTrip(ctx, c.addr, req); err != nil {
		return "", err
	}
	if req.code != 0 || req.id == [16]byte{} {
		return "", fromCode(req.code)
	}
	return hex.EncodeToString(req.id[:]), nil
}

// tellsIDs asks once whether the cluster speaks metadataVersion.
func (c *Client) tellsIDs(ctx context.Context) (bool, error) {
	c.idsMu.Lock()
	defer c.idsMu.Unlock()
	if c.ids != nil {
		return *c.ids, nil
	}
	res, err := c.api.ApiVersions(ctx, &kafka.ApiVersionsRequest{Addr: c.addr})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return false, err
	}
	tells := false
	for _, k := range res.ApiKeys {
		tells = tells || k.ApiKey == int(protocol.Metadata) && k.MinVersion <= metadataVersion && k.MaxVersion >= metadataVersion
	}
	c.ids = &tells
	return tells, nil
}

// topicIDRequest is a Metadata v10 for one topic.
type topicIDRequest struct {
	clientID, topic string
	partition       int32

	code kafka.Error
	id   [16]byte
}

// ApiKey implements protocol.Message.
func (r *topicIDRequest) ApiKey() protocol.ApiKey { return protocol.Metadata }

// Broker implements protocol.BrokerMessage.
func (r *topicIDRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return leader(c, r.topic, r.partition)
}

// Required implements protocol.RawExchanger.
func (r *topicIDRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger.
func (r *topicIDRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	id := correlation.Add(1)
	o := appendRequestHeader(make([]byte, 0, 64+len(r.topic)+len(r.clientID)), protocol.Metadata, metadataVersion, id, r.clientID)
	o = append(o, 0)                   // header's tags
	o = append(o, 2)                   // one topic
	o = append(o, make([]byte, 16)...) // by name, not by id
	o = binary.AppendUvarint(o, uint64(len(r.topic))+1)
	o = append(o, r.topic...)
	o = append(o, 0)       // topic's tags
	o = append(o, 0, 0, 0) // make no topic, tell no rights
	o = append(o, 0)       // tags
	resp, err := exchange(rw, id, o, nil, nil)
	if err != nil {
		return nil, err
	}
	return r, r.parse(&resp)
}

func (r *topicIDRequest) parse(b *response) error {
	b.tags()
	b.int32() // throttle
	for range b.compactCount() {
		b.int32() // node
		b.compactString()
		b.int32() // port
		b.compactString()
		b.tags()
	}
	b.compactString() // cluster
	b.int32()         // controller
	found := false
	for range b.compactCount() {
		code := kafka.Error(b.int16())
		name := b.compactString()
		if id := b.take(16); name == r.topic && id != nil {
			r.code, r.id, found = code, [16]byte(id), true
		}
		b.take(1) // internal
		for range b.compactCount() {
			b.take(2 + 4 + 4 + 4) // error, partition, leader, its epoch
			for range 3 {         // replicas, those in sync, those offline
				b.take(4 * b.compactCount())
			}
			b.tags()
		}
		b.int32() // rights
		b.tags()
	}
	if err := b.err(); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: it lacks the topic", errResponse)
	}
	return nil
}
