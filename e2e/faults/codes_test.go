package faults

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	kafka "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"profilestream/e2e/harness"
	"profilestream/stream/kafkatest"
)

// refusals are the codes with which a broker answers at random, by the request.
var refusals = map[kmsg.Key][]kafka.Error{
	kmsg.Produce: {kafka.NotLeaderForPartition, kafka.LeaderNotAvailable, kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend,
		kafka.RequestTimedOut, kafka.KafkaStorageError, kafka.OutOfOrderSequenceNumber, kafka.UnknownProducerId, kafka.InvalidProducerEpoch},
	kmsg.OffsetCommit:       {kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup, kafka.GroupLoadInProgress, kafka.IllegalGeneration, kafka.UnknownMemberId},
	kmsg.InitProducerID:     {kafka.GroupCoordinatorNotAvailable, kafka.GroupLoadInProgress, kafka.ConcurrentTransactions, kafka.NotCoordinatorForGroup},
	kmsg.AddPartitionsToTxn: {kafka.ConcurrentTransactions, kafka.NotCoordinatorForGroup, kafka.GroupLoadInProgress},
	kmsg.EndTxn:             {kafka.ConcurrentTransactions, kafka.NotCoordinatorForGroup, kafka.GroupLoadInProgress, kafka.InvalidProducerEpoch, kafka.ProducerFenced},
	kmsg.Heartbeat:          {kafka.RebalanceInProgress, kafka.UnknownMemberId, kafka.IllegalGeneration},
	kmsg.Fetch:              {kafka.NotLeaderForPartition, kafka.ReplicaNotAvailable, kafka.KafkaStorageError},
}

// refuser answers a share of the requests of the run's processes with codes.
type refuser struct {
	mu    sync.Mutex
	rng   *rand.Rand
	on    bool
	count map[string]int
}

// errorCodes is row 6: an in-process Kafka refuses requests with every code
// that is known to pass, and with those that fence. Nobody exits.
func errorCodes(x *trial) {
	rounds := max(2, x.events*8/50_000)
	fake := kafkatest.Fake(x)
	r := &refuser{rng: rand.New(rand.NewPCG(x.seed, 6)), count: map[string]int{}}
	for key := range refusals {
		r.refuse(fake.Fake, key)
	}
	x.patient = true
	x.setUp(options{pieces: rounds * 4, kafka: harness.UseKafka(x, fake.Addrs)})
	c := x.crew()
	for range rounds {
		x.send()
		lag := x.busy("admission")
		if x.wrong > 0 {
			return
		}
		x.lagged(lag, "admission")
		before := r.turn(true)
		x.send()
		x.eventually("20 refusals", func() bool { return r.refused() >= before+20 })
		r.turn(false)
		if !x.caughtUp(c.ps...) {
			return
		}
	}
	x.kills = r.refused()
	x.recoveries = x.kills
	x.line.points = r.count
	x.finish(c)
}

func (r *refuser) turn(on bool) int {
	r.mu.Lock()
	r.on = on
	r.mu.Unlock()
	return r.refused()
}

func (r *refuser) refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, v := range r.count {
		n += v
	}
	return n
}

func (r *refuser) refuse(c *kfake.Cluster, key kmsg.Key) {
	c.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.on || r.rng.IntN(6) != 0 || !ours(req) {
			return nil, nil, false
		}
		codes := refusals[key]
		code := codes[r.rng.IntN(len(codes))]
		r.count[key.Name()+" "+strings.ReplaceAll(code.Title(), " ", "_")]++
		return answer(req, int16(code)), nil, true
	})
}

// ours says whether a produce request writes to the run's own topics: what the
// harness sends to the inputs is not what is tested.
func ours(req kmsg.Request) bool {
	p, ok := req.(*kmsg.ProduceRequest)
	return !ok || !slices.ContainsFunc(p.Topics, func(t kmsg.ProduceRequestTopic) bool { return !strings.HasPrefix(t.Topic, "profile.") })
}

// answer is a request's response with a code in each place that holds one.
func answer(kreq kmsg.Request, code int16) kmsg.Response {
	kres := kreq.ResponseKind()
	switch res := kres.(type) {
	case *kmsg.ProduceResponse:
		for _, t := range kreq.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.FetchResponse:
		for _, t := range kreq.(*kmsg.FetchRequest).Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.OffsetCommitResponse:
		for _, t := range kreq.(*kmsg.OffsetCommitRequest).Topics {
			rt := kmsg.NewOffsetCommitResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.AddPartitionsToTxnResponse:
		for _, t := range kreq.(*kmsg.AddPartitionsToTxnRequest).Topics {
			rt := kmsg.NewAddPartitionsToTxnResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.InitProducerIDResponse:
		res.ErrorCode = code
	case *kmsg.EndTxnResponse:
		res.ErrorCode = code
	case *kmsg.HeartbeatResponse:
		res.ErrorCode = code
	}
	return kres
}
