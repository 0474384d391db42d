package profile

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/schemas"
)

// SourceAccount is what became of a source partition's records. Records and Rejected are totals of
// the source partition, the same in every log partition; the rest counts this log partition's events.
type SourceAccount struct {
	Source                         Source
	Records, Rejected              int64
	Applied, Duplicates, Late, Hot int64
	WMillis                        int64
	Listed, Marked                 bool // W waits for the source; it has a watermark
}

// Accounting lists the sources that the partition has heard of.
func (p *LogPartition) Accounting() []SourceAccount {
	out := make([]SourceAccount, 0, len(p.sources.list))
	for _, s := range p.sources.list {
		out = append(out, SourceAccount{
			Source: s.Source, Records: s.records, Rejected: s.rejected,
			Applied: s.applied, Duplicates: s.duplicates, Late: s.late, Hot: s.hot,
			WMillis: s.wMillis, Listed: s.listed, Marked: s.marked,
		})
	}
	return out
}

// AccountingRows is Accounting in schemas.AccountingRows; epochs of a source partition are summed.
// The caller releases the record.
func (p *LogPartition) AccountingRows() arrow.Record {
	type place struct {
		topic     string
		partition int32
	}
	sums := map[place]*SourceAccount{}
	var order []place
	for _, a := range p.Accounting() {
		at := place{a.Source.Topic, a.Source.Partition}
		s := sums[at]
		if s == nil {
			s = new(SourceAccount)
			sums[at] = s
			order = append(order, at)
		}
		s.Records += a.Records
		s.Rejected += a.Rejected
		s.Applied += a.Applied
		s.Duplicates += a.Duplicates
		s.Late += a.Late
		s.Hot += a.Hot
		s.WMillis = max(s.WMillis, a.WMillis)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemas.AccountingRows)
	defer b.Release()
	for _, at := range order {
		s := sums[at]
		b.Field(schemas.AccSourceTopic).(*array.StringBuilder).Append(at.topic)
		b.Field(schemas.AccSourcePartition).(*array.Int32Builder).Append(at.partition)
		b.Field(schemas.AccLogPartition).(*array.Int32Builder).Append(p.cfg.Partition)
		for col, v := range map[int]int64{
			schemas.AccVersion: p.offset, schemas.AccRecords: s.Records, schemas.AccRejected: s.Rejected,
			schemas.AccApplied: s.Applied, schemas.AccDuplicates: s.Duplicates, schemas.AccLate: s.Late, schemas.AccHot: s.Hot,
		} {
			b.Field(col).(*array.Int64Builder).Append(v)
		}
		b.Field(schemas.AccWatermark).(*array.TimestampBuilder).Append(arrow.Timestamp(s.WMillis))
	}
	return b.NewRecord()
}
