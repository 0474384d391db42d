package finetune

import (
	"math"

	"profilestream/inference/finetune/kernel"
)

// batch is what the forward pass leaves for the backward pass. Tokens of all texts lie
// one after the other: n rows in all.
type batch struct {
	ids     []int32
	offsets []int // first row of each text, and n
	probsAt []int // first attention weight of each text, and their number
	drop    dropper

	embedded, last []float32
	sum, other     []float32 // scratch [n, hidden]
	wide           []float32 // scratch [n, max(intermediate, 3 hidden)]
	pooled         []float32 // unit vectors [texts, hidden]
	length         []float32 // of the mean vectors
	features       []float32 // the classifier's input
	logits         []float32 // [texts, classes]
	scratch        [][2][]float32
}

// dropper draws the masks of one step: each place of the network has its own key.
type dropper struct {
	on   bool
	seed uint64
}

func (d dropper) key(site int) uint64 { return d.seed + uint64(site)<<32 }

// Sites of dropout: the embeddings, the classifier, then three a layer.
const (
	siteEmbedding = iota
	siteHead
	siteLayer
)

const (
	siteProbs = iota
	siteMix
	siteDown
	sitesPerLayer
)

func layerSite(i, which int) int { return siteLayer + i*sitesPerLayer + which }

// hide drops elements of x at a site, in the forward pass and in the backward pass
// alike: the mask is the same and so is its derivative.
func (m *Model) hide(x []float32, site int) {
	if m.drop.on && m.dropout.Hidden > 0 {
		m.engine.Dropout(x, m.dropout.Hidden, m.drop.key(site))
	}
}

// accumulate adds x to y.
func (m *Model) accumulate(y, x []float32) {
	m.engine.Chunks(len(y), 1<<14, func(_, _, lo, hi int) {
		a, b := y[lo:hi], x[lo:hi]
		for i, v := range b {
			a[i] += v
		}
	})
}

// forward computes the logits [texts, classes] of texts that checkIDs accepts.
func (m *Model) forward(texts [][]int32, drop dropper) []float32 {
	m.drop = drop
	m.lay(texts)
	n, h := m.offsets[len(texts)], m.config.Hidden
	m.embed(n)
	m.hide(m.layers[0].x, siteEmbedding)
	m.sum = kernel.Grow(m.sum, n*h)
	for i := range m.layers {
		m.layer(i, n)
	}
	return m.classify(len(texts))
}

// lay puts the texts one after the other.
func (m *Model) lay(texts [][]int32) {
	m.ids, m.offsets, m.probsAt = m.ids[:0], append(m.offsets[:0], 0), append(m.probsAt[:0], 0)
	for i, t := range texts {
		m.ids = append(m.ids, t...)
		m.offsets = append(m.offsets, m.offsets[i]+len(t))
		m.probsAt = append(m.probsAt, m.probsAt[i]+m.config.Heads*len(t)*len(t))
	}
	if m.scratch == nil {
		m.scratch = make([][2][]float32, m.engine.Threads())
	}
}

func (m *Model) embed(n int) {
	h := m.config.Hidden
	m.embedded = kernel.Grow(m.embedded, n*h)
	m.engine.For(len(m.offsets)-1, func(_, b int) {
		for i := m.offsets[b]; i < m.offsets[b+1]; i++ {
			out := m.embedded[i*h : (i+1)*h]
			word, at := m.word.w[int(m.ids[i])*h:], m.pos.w[(i-m.offsets[b])*h:]
			for j := range out {
				out[j] = word[j] + at[j] + m.typ.w[j]
			}
		}
	})
	first := &m.layers[0]
	first.x = kernel.Grow(first.x, n*h)
	m.embedNorm.forward(m.engine, m.embedded, n, m.config.Epsilon, first.x)
}

func (m *Model) layer(i, n int) {
	l, e, h, inner := &m.layers[i], m.engine, m.config.Hidden, m.config.Intermediate
	l.qkvY, l.ctx, l.mid = kernel.Grow(l.qkvY, n*3*h), kernel.Grow(l.ctx, n*h), kernel.Grow(l.mid, n*h)
	l.slope, l.hidden = kernel.Grow(l.slope, n*inner), kernel.Grow(l.hidden, n*inner)
	l.qkv.forward(e, l.x, n, l.qkvY)
	m.attend(i)
	l.mix.forward(e, l.ctx, n, m.sum)
	m.hide(m.sum, layerSite(i, siteMix))
	m.accumulate(m.sum, l.x)
	l.mixNorm.forward(e, m.sum, n, m.config.Epsilon, l.mid)

	l.up.forward(e, l.mid, n, l.hidden)
	e.Gelu(l.hidden, l.hidden, l.slope)
	l.down.forward(e, l.hidden, n, m.sum)
	m.hide(m.sum, layerSite(i, siteDown))
	m.accumulate(m.sum, l.mid)
	y := &m.last
	if i+1 < len(m.layers) {
		y = &m.layers[i+1].x
	}
	*y = kernel.Grow(*y, n*h)
	l.downNorm.forward(e, m.sum, n, m.config.Epsilon, *y)
}

// classify pools, normalises and classifies.
func (m *Model) classify(texts int) []float32 {
	h := m.config.Hidden
	m.pooled, m.features = kernel.Grow(m.pooled, texts*h), kernel.Grow(m.features, texts*h)
	m.length, m.logits = kernel.Grow(m.length, texts), kernel.Grow(m.logits, texts*m.head.out)
	scale := m.headScale()
	m.engine.For(texts, func(_, b int) {
		out := m.pooled[b*h : (b+1)*h]
		clear(out)
		for i := m.offsets[b]; i < m.offsets[b+1]; i++ {
			for j, v := range m.last[i*h : (i+1)*h] {
				out[j] += v
			}
		}
		share := 1 / float32(m.offsets[b+1]-m.offsets[b])
		for j := range out {
			out[j] *= share
		}
		length := max(float32(math.Sqrt(float64(dot(out, out)))), 1e-12)
		m.length[b] = length
		for j := range out {
			out[j] /= length
			m.features[b*h+j] = out[j] * scale
		}
	})
	m.hide(m.features, siteHead)
	m.head.forward(m.engine, m.features, texts, m.logits)
	return m.logits
}
