package profile

import "encoding/binary"

// Topic codes of a source. A larger code is the length of a name that follows, plus topicName.
const (
	topicClickstream = iota // "clickstream"
	topicPurchases          // "purchases"
	topicName
)

// AppendWatermark appends the log record of w to dst.
func AppendWatermark(dst []byte, w *Watermark) []byte {
	b := append(dst, RecordVersion, byte(KindWatermark))
	b = appendSource(b, w.Source)
	b = binary.AppendVarint(b, w.WMillis)
	b = binary.AppendUvarint(b, uint64(w.NextOffset))
	b = binary.AppendUvarint(b, uint64(w.Records))
	b = binary.AppendUvarint(b, uint64(w.Rejected))
	if w.Idle {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendSourceSet appends the log record of s to dst.
func AppendSourceSet(dst []byte, s *SourceSet) []byte {
	b := append(dst, RecordVersion, byte(KindSourceSet))
	b = binary.AppendUvarint(b, uint64(len(s.Sources)))
	for _, src := range s.Sources {
		b = appendSource(b, src)
	}
	return b
}

// AppendErase appends the log record of e to dst.
func AppendErase(dst []byte, e *Erase) []byte {
	b := append(dst, RecordVersion, byte(KindErase))
	b = binary.AppendUvarint(b, uint64(len(e.User)))
	b = append(b, e.User...)
	b = binary.AppendUvarint(b, uint64(len(e.Positions)))
	for _, p := range e.Positions {
		b = appendSource(b, p.Source)
		b = binary.AppendUvarint(b, uint64(p.NextOffset))
	}
	return b
}

// AppendRescore appends the log record of r to dst.
func AppendRescore(dst []byte, r *Rescore) []byte {
	b := append(dst, RecordVersion, byte(KindRescore))
	return binary.AppendUvarint(b, uint64(r.Promotion))
}

// appendSource appends epoch, partition and topic code, all uvarint, then the name if the code
// says so. A record is self-contained: it never refers to a source set.
func appendSource(b []byte, s Source) []byte {
	b = binary.AppendUvarint(b, uint64(uint32(s.Epoch)))
	b = binary.AppendUvarint(b, uint64(uint32(s.Partition)))
	switch s.Topic {
	case "clickstream":
		return append(b, topicClickstream)
	case "purchases":
		return append(b, topicPurchases)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Topic))+topicName)
	return append(b, s.Topic...)
}

func (d *decoder) watermark(w *Watermark) {
	w.Source = d.source()
	w.WMillis = d.varint()
	w.NextOffset = d.count()
	w.Records = d.count()
	w.Rejected = d.count()
	idle := d.byte()
	if idle > 1 {
		d.fail("idle")
	}
	w.Idle = idle == 1
}

func (d *decoder) sourceSet(s *SourceSet) {
	n := d.length(minSourceBytes)
	s.Sources = s.Sources[:0]
	for range n {
		if d.what != "" {
			return
		}
		s.Sources = append(s.Sources, d.source())
	}
}

func (d *decoder) erase(e *Erase) {
	e.User = d.bytes(d.length(1))
	if len(e.User) == 0 {
		d.fail("user")
	}
	n := d.length(minSourceBytes + 1)
	e.Positions = e.Positions[:0]
	for range n {
		if d.what != "" {
			return
		}
		e.Positions = append(e.Positions, Position{Source: d.source(), NextOffset: d.count()})
	}
}
