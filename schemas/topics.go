package schemas

import "strings"

// ModelsTopic is the compacted topic that announces promoted model bundles,
// one record a run.
const ModelsTopic = "profile.models"

// ErasuresTopic is the compacted topic of the erasures of all runs, one record a
// user, under a keyed hash of the id.
const ErasuresTopic = "profile.erasures"

// RunsTopic is the compacted topic that tells how runs were started, one record a
// run.
const RunsTopic = "profile.runs"

// MaxPromotion is the largest promotion number of a run: a row version has 19
// bits for it.
const MaxPromotion = 1<<19 - 1

// Topics are the Kafka topics of one run.
type Topics struct {
	Events, Windows, Days, Scored, State, DLQ, Late string
	Sources                                         string // what the run knows of its input topics
}

// RunTopics names the topics of a run.
func RunTopics(run string) Topics {
	p := TopicPrefix(run)
	return Topics{
		Events: p + "events", Windows: p + "windows", Days: p + "days",
		Scored: p + "scored", State: p + "state", DLQ: p + "dlq", Late: p + "late", Sources: p + "sources",
	}
}

// TopicPrefix begins the names of the topics of a run.
func TopicPrefix(run string) string { return "profile." + run + "." }

// RunOfTopic is the run that a topic is of, if it is of one.
func RunOfTopic(name string) (run string, ok bool) {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 3 || parts[0] != "profile" {
		return "", false
	}
	return parts[1], true
}

// Headers of the records of the DLQ and late topics.
const (
	HeaderReason          = "reason"
	HeaderField           = "field"
	HeaderSourceTopic     = "source_topic"
	HeaderSourcePartition = "source_partition"
	HeaderSourceEpoch     = "source_epoch" // absent: 0
	HeaderSourceOffset    = "source_offset"
	HeaderKafkaTimestamp  = "kafka_timestamp"
	HeaderTruncated       = "truncated"
)

// BaseRun is the run whose database is the base itself, which has the serving
// views.
const BaseRun = "live"

// Database is the ClickHouse database of a run, given the configured base.
func Database(base, run string) string {
	if run == BaseRun {
		return base
	}
	return base + "_" + run
}

// RunOfDatabase is the run that a database is of, if it is of one of the base.
func RunOfDatabase(base, database string) (run string, ok bool) {
	if database == base {
		return BaseRun, true
	}
	return strings.CutPrefix(database, base+"_")
}

// SettingFeatures is the key, among the settings behind a config_version, of the
// feature list with its meaning: another value is another version of the code.
const SettingFeatures = "feature list"
