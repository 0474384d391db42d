package wire

import (
	"context"
	"errors"
	"fmt"
	"sort"

	kafka "github.com/segmentio/kafka-go"
)

// Topic describes a topic to create.
type Topic struct {
	Name        string
	Partitions  int
	Replication int
	Settings    map[string]string // Kafka's topic settings by name
}

// PartitionCountError reports a topic that exists with another number of partitions.
type PartitionCountError struct {
	Topic      string
	Have, Want int
}

// Error names the topic and both counts.
func (e *PartitionCountError) Error() string {
	return fmt.Sprintf("topic %s has %d partitions, the configuration asks for %d; the number of a run's partitions cannot change: start another run", e.Topic, e.Have, e.Want)
}

// CreateTopics makes the topics that do not exist. For one that does it returns a *PartitionCountError where its
// number of partitions differs; its settings are left as they are. Whoever may not create topics needs them all to be
// there.
func (c *Client) CreateTopics(ctx context.Context, topics ...Topic) error {
	for _, t := range topics {
		if err := c.createTopic(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) createTopic(ctx context.Context, t Topic) error {
	cfg := kafka.TopicConfig{Topic: t.Name, NumPartitions: t.Partitions, ReplicationFactor: t.Replication}
	for name, value := range t.Settings {
		cfg.ConfigEntries = append(cfg.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	sort.Slice(cfg.ConfigEntries, func(i, j int) bool { return cfg.ConfigEntries[i].ConfigName < cfg.ConfigEntries[j].ConfigName })
	var denied error // brokers ask who may create before they look whether there is anything to do
	err := c.retry(ctx, "creating topic "+t.Name, func(ctx context.Context) error {
		res, err := c.api.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{cfg}})
		if err != nil {
			return err
		}
		switch err := res.Errors[t.Name]; {
		case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
			denied = fmt.Errorf("creating topic %s: %w", t.Name, err)
		case err != nil && !errors.Is(err, kafka.TopicAlreadyExists):
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	tps, err := c.Partitions(ctx, t.Name)
	if err != nil {
		return errors.Join(denied, err)
	}
	if len(tps) != t.Partitions {
		return &PartitionCountError{Topic: t.Name, Have: len(tps), Want: t.Partitions}
	}
	return nil
}

// Partitions returns the partitions of the topics, ordered. It waits for topics that were just created and returns
// ErrUnknownTopic where one does not appear.
func (c *Client) Partitions(ctx context.Context, topics ...string) ([]TopicPartition, error) {
	var out []TopicPartition
	err := c.retry(ctx, fmt.Sprintf("reading the metadata of %v", topics), func(ctx context.Context) error {
		res, err := c.api.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
		if err != nil {
			return err
		}
		out = out[:0]
		for _, t := range res.Topics {
			if t.Error != nil {
				return fromError(t.Error)
			}
			if len(t.Partitions) == 0 {
				return kafka.UnknownTopicOrPartition
			}
			for _, p := range t.Partitions {
				out = append(out, TopicPartition{t.Name, int32(p.ID)})
			}
		}
		return nil
	})
	sort.Slice(out, func(i, j int) bool {
		if out[i].Topic != out[j].Topic {
			return out[i].Topic < out[j].Topic
		}
		return out[i].Partition < out[j].Partition
	})
	return out, err
}

// Topics returns the names of all topics that exist, except Kafka's own, with their numbers of partitions.
func (c *Client) Topics(ctx context.Context) (map[string]int, error) {
	var out map[string]int
	err := c.retry(ctx, "reading the cluster's metadata", func(ctx context.Context) error {
		res, err := c.api.Metadata(ctx, &kafka.MetadataRequest{})
		if err != nil {
			return err
		}
		out = make(map[string]int, len(res.Topics))
		for _, t := range res.Topics {
			if !t.Internal && t.Error == nil {
				out[t.Name] = len(t.Partitions)
			}
		}
		return nil
	})
	return out, err
}

// ClusterID returns the id of the Kafka cluster.
func (c *Client) ClusterID(ctx context.Context) (id string, err error) {
	err = c.retry(ctx, "reading the cluster's id", func(ctx context.Context) error {
		res, err := c.api.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{}})
		if err == nil {
			id = res.ClusterID
		}
		return err
	})
	return id, err
}

// TopicSettings returns the values of a topic's settings, defaults included.
func (c *Client) TopicSettings(ctx context.Context, topic string) (map[string]string, error) {
	out := make(map[string]string)
	err := c.retry(ctx, "reading the settings of "+topic, func(ctx context.Context) error {
		res, err := c.api.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
			Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}},
		})
		if err != nil {
			return err
		}
		for _, r := range res.Resources {
			if r.Error != nil {
				return fromError(r.Error)
			}
			for _, e := range r.ConfigEntries {
				out[e.ConfigName] = e.ConfigValue
			}
		}
		return nil
	})
	return out, err
}

// DeleteTopics removes topics; those that do not exist are passed over.
func (c *Client) DeleteTopics(ctx context.Context, topics ...string) error {
	return c.retry(ctx, fmt.Sprintf("deleting %v", topics), func(ctx context.Context) error {
		res, err := c.api.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: topics})
		if err != nil {
			return err
		}
		for _, err := range res.Errors {
			if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
				return err
			}
		}
		return nil
	})
}

// DeleteGroups removes consumer groups and what they committed; those that do not exist are passed over. It returns
// ErrGroupInUse where one has members.
func (c *Client) DeleteGroups(ctx context.Context, groups ...string) error {
	for _, g := range groups { // each has a coordinator of its own
		err := c.retry(ctx, "deleting group "+g, func(ctx context.Context) error {
			res, err := c.api.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{g}})
			if err == nil {
				err = res.Errors[g]
			}
			switch {
			case errors.Is(err, kafka.GroupIdNotFound):
				return nil
			case errors.Is(err, kafka.NonEmptyGroup):
				return fmt.Errorf("%w: %s", ErrGroupInUse, g)
			}
			return fromError(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// AddPartitions raises a topic's number of partitions to total.
func (c *Client) AddPartitions(ctx context.Context, topic string, total int) error {
	return c.retry(ctx, "adding partitions to "+topic, func(ctx context.Context) error {
		res, err := c.api.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
			Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: int32(total)}},
		})
		if err != nil {
			return err
		}
		return fromError(res.Errors[topic])
	})
}
