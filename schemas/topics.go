package schemas

// ModelsTopic is the compacted topic that announces promoted model bundles,
// one record a run.
const ModelsTopic = "profile.models"

// ErasuresTopic is the compacted topic of the erasures of all runs, one record a
// user, under a keyed hash of the id.
const ErasuresTopic = "profile.erasures"

// MaxPromotion is the largest promotion number of a run: a row version has 19
// bits for it.
const MaxPromotion = 1<<19 - 1

// Topics are the Kafka topics of one run.
type Topics struct {
	Events, Windows, Days, Scored, State, DLQ, Late string
}

// RunTopics names the topics of a run.
func RunTopics(run string) Topics {
	p := "profile." + run + "."
	return Topics{
		Events: p + "events", Windows: p + "windows", Days: p + "days",
		Scored: p + "scored", State: p + "state", DLQ: p + "dlq", Late: p + "late",
	}
}

// Headers of the records of the DLQ and late topics.
const (
	HeaderReason          = "reason"
	HeaderField           = "field"
	HeaderSourceTopic     = "source_topic"
	HeaderSourcePartition = "source_partition"
	HeaderSourceOffset    = "source_offset"
	HeaderKafkaTimestamp  = "kafka_timestamp"
	HeaderTruncated       = "truncated"
)

// Database is the ClickHouse database of a run, given the configured base.
func Database(base, run string) string {
	if run == "live" {
		return base
	}
	return base + "_" + run
}
