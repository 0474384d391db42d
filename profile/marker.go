package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrConfigChanged: the state was made under another configuration. A changed configuration is
// another run.
var ErrConfigChanged = errors.New("state of another configuration")

// Marker is the place in the log that a state belongs to.
type Marker struct {
	Offset        int64 // of the last applied log record
	Last          LastRecord
	ConfigVersion string
	Partition     int32
	Promotion     int64
	Live          bool
}

// Flags of a marker and of a source in it.
const (
	markerLive    = 1
	markerW       = 2
	markerTicking = 4
	sourceListed  = 1
	sourceMarked  = 2
)

// appendMarker appends the marker record:
//
//	version, offset + 1, CRC of the last record (4 bytes), its timestamp, config version, partition,
//	flags, W, last day ticked, last day closed, promotion, offset of the newest re-score + 1,
//	sources: number, each source, flags, w, largest offset + 1, next offset, records, rejected,
//	applied, duplicates, late, hot;  ticks: number, each first and last day, offset;
//	records in the state topic: bases, days, chunks;  CRC
func (p *LogPartition) appendMarker(b []byte, last LastRecord) []byte {
	from := len(b)
	b = append(b, StateVersion)
	b = binary.AppendUvarint(b, uint64(p.offset+1))
	b = binary.LittleEndian.AppendUint32(b, last.CRC)
	b = binary.AppendVarint(b, last.TimestampMillis)
	b = appendText(b, p.cfg.ConfigVersion)
	b = binary.AppendUvarint(b, uint64(p.cfg.Partition))
	flags := byte(0)
	for bit, on := range map[byte]bool{markerLive: p.live, markerW: p.wSet, markerTicking: p.ticking} {
		if on {
			flags |= bit
		}
	}
	b = append(b, flags)
	for _, v := range [...]int64{p.w, int64(p.ticked), int64(p.closed)} {
		b = binary.AppendVarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(p.promotion))
	b = binary.AppendUvarint(b, uint64(p.rescore+1))
	b = binary.AppendUvarint(b, uint64(len(p.sources.list)))
	for _, s := range p.sources.list {
		b = appendSourceState(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(p.ticks)))
	for _, t := range p.ticks {
		b = binary.AppendVarint(binary.AppendVarint(b, int64(t.first)), int64(t.last))
		b = binary.AppendUvarint(b, uint64(t.offset))
	}
	for _, v := range [...]int64{p.next.bases, p.next.days, p.next.chunks} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return seal(b, from)
}

func appendSourceState(b []byte, s *source) []byte {
	b = appendSource(b, s.Source)
	flags := byte(0)
	if s.listed {
		flags |= sourceListed
	}
	if s.marked {
		flags |= sourceMarked
	}
	b = append(b, flags)
	for _, v := range [...]int64{s.wMillis, s.seen + 1, s.nextOffset, s.records, s.rejected,
		s.applied, s.duplicates, s.late, s.hot} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

// decodedMarker is a marker record, with all that the partition takes from it.
type decodedMarker struct {
	Marker
	w              int64
	wSet, ticking  bool
	ticked, closed int32
	rescore        int64
	sources        []*source
	ticks          []tickRun
	totals         storedTotals
}

func decodeMarker(value []byte) (*decodedMarker, error) {
	body, err := unseal(value)
	if err != nil {
		return nil, fmt.Errorf("reading the marker: %w", err)
	}
	r := decoder{b: body, r: new(Record)}
	m := new(decodedMarker)
	m.Offset = r.count() - 1
	if crc := r.bytes(4); r.what == "" {
		m.Last.CRC = binary.LittleEndian.Uint32(crc)
	}
	m.Last.TimestampMillis = r.varint()
	m.ConfigVersion = string(r.text())
	m.Partition = r.int32()
	flags := r.byte()
	m.Live, m.wSet, m.ticking = flags&markerLive != 0, flags&markerW != 0, flags&markerTicking != 0
	m.w = r.varint()
	m.ticked, m.closed = r.day(), r.day()
	m.Promotion = r.count()
	m.rescore = r.count() - 1
	for range r.length(minSourceBytes + 10) {
		m.sources = append(m.sources, r.sourceState())
	}
	for range r.length(3) {
		m.ticks = append(m.ticks, tickRun{r.day(), r.day(), r.count()})
	}
	m.totals = storedTotals{r.count(), r.count(), r.count()}
	if err := r.ended(); err != nil {
		return nil, fmt.Errorf("reading the marker: %w", err)
	}
	return m, nil
}

func (d *decoder) day() int32 {
	v := d.varint()
	if v < math.MinInt32 || v > maxMillis/dayMillis {
		d.fail("day")
		return 0
	}
	return int32(v)
}

func (d *decoder) sourceState() *source {
	src := d.source()
	t := sources{}
	s := t.find(&src)
	flags := d.byte()
	s.listed, s.marked = flags&sourceListed != 0, flags&sourceMarked != 0
	for _, v := range [...]*int64{&s.wMillis, &s.seen, &s.nextOffset, &s.records, &s.rejected,
		&s.applied, &s.duplicates, &s.late, &s.hot} {
		*v = d.count()
	}
	s.seen--
	return s
}
