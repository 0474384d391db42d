package kafkatest

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteRecords removes what lies below an offset, as retention does, at the broker that leads the partition.
func DeleteRecords(tb testing.TB, addr, topic string, partition int32, below int64) {
	tb.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.SetVersion(1)
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: below}}}}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		tb.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		tb.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		tb.Fatal(err)
	}
	res := kmsg.NewPtrDeleteRecordsResponse()
	res.SetVersion(1)
	if err := res.ReadFrom(body[4:]); err != nil {
		tb.Fatal(err)
	}
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 || res.Topics[0].Partitions[0].ErrorCode != 0 {
		tb.Fatalf("deleting records of %s[%d]: %+v", topic, partition, res.Topics)
	}
}
