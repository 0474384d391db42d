package finetune

import (
	"math"

	"profilestream/inference/finetune/kernel"
)

// loss is the mean cross-entropy of logits [len(labels), classes] and its gradient,
// which is written to d.
func loss(logits []float32, labels []int, d []float32) float64 {
	classes := len(logits) / len(labels)
	var total float64
	for b, y := range labels {
		z, g := logits[b*classes:(b+1)*classes], d[b*classes:(b+1)*classes]
		top := z[0]
		for _, v := range z {
			top = max(top, v)
		}
		var sum float64
		for _, v := range z {
			sum += math.Exp(float64(v - top))
		}
		total += math.Log(sum) - float64(z[y]-top)
		for c, v := range z {
			g[c] = float32(math.Exp(float64(v-top)) / sum / float64(len(labels)))
		}
		g[y] -= 1 / float32(len(labels))
	}
	return total / float64(len(labels))
}

// backward adds the gradient of every parameter, given that of the logits of the last
// forward.
func (m *Model) backward(dlogits []float32) {
	texts, n, h := len(m.offsets)-1, m.offsets[len(m.offsets)-1], m.config.Hidden
	d := kernel.Grow(m.sum, n*h)
	m.classifyBack(dlogits, texts, d)
	m.other = kernel.Grow(m.other, n*h)
	m.wide = kernel.Grow(m.wide, n*max(m.config.Intermediate, 3*h))
	for i := len(m.layers) - 1; i >= 0; i-- {
		m.layerBack(i, n, d)
	}
	m.hide(d, siteEmbedding)
	m.embedNorm.backward(m.engine, d, n, d)
	m.embedBack(d)
}

func (m *Model) classifyBack(dlogits []float32, texts int, d []float32) {
	h, scale := m.config.Hidden, m.headScale()
	df := make([]float32, texts*h)
	m.head.backward(m.engine, m.features, dlogits, texts, df, false)
	m.hide(df, siteHead)
	m.engine.For(texts, func(_, b int) {
		unit, g := m.pooled[b*h:(b+1)*h], df[b*h:(b+1)*h]
		along := dot(unit, g)
		k := scale / (m.length[b] * float32(m.offsets[b+1]-m.offsets[b]))
		for j := range g {
			g[j] = k * (g[j] - unit[j]*along)
		}
		for i := m.offsets[b]; i < m.offsets[b+1]; i++ {
			copy(d[i*h:(i+1)*h], g)
		}
	})
}

// layerBack turns d, the gradient of the layer's output, into that of its input.
func (m *Model) layerBack(i, n int, d []float32) {
	l, e, h, inner := &m.layers[i], m.engine, m.config.Hidden, m.config.Intermediate
	l.downNorm.backward(e, d, n, d)
	copy(m.other, d)
	m.hide(m.other, layerSite(i, siteDown))
	dh := m.wide[:n*inner]
	l.down.backward(e, l.hidden, m.other, n, dh, false)
	e.Chunks(len(dh), 1<<14, func(_, _, lo, hi int) {
		a, b := dh[lo:hi], l.slope[lo:hi]
		for j, v := range b {
			a[j] *= v
		}
	})
	l.up.backward(e, l.mid, dh, n, d, true)
	l.mixNorm.backward(e, d, n, d)
	copy(m.other, d)
	m.hide(m.other, layerSite(i, siteMix))
	dctx := m.embedded[:n*h] // its norm kept what it needs
	l.mix.backward(e, l.ctx, m.other, n, dctx, false)
	dqkv := m.wide[:n*3*h]
	m.attendBack(i, dctx, dqkv)
	l.qkv.backward(e, l.x, dqkv, n, d, true)
}

// embedBack adds to the rows of the tables. A worker owns columns, so that tokens are
// added in order.
func (m *Model) embedBack(d []float32) {
	h := m.config.Hidden
	for b := range len(m.offsets) - 1 {
		for i := m.offsets[b]; i < m.offsets[b+1]; i++ {
			m.word.live[m.ids[i]], m.pos.live[i-m.offsets[b]] = true, true
		}
	}
	m.typ.live[0] = true
	m.engine.Chunks(h, rowChunk, func(_, _, lo, hi int) {
		typ := m.typ.g[lo:hi]
		for b := range len(m.offsets) - 1 {
			for i := m.offsets[b]; i < m.offsets[b+1]; i++ {
				word, at := m.word.g[int(m.ids[i])*h+lo:], m.pos.g[(i-m.offsets[b])*h+lo:]
				for j, v := range d[i*h+lo : i*h+hi] {
					word[j] += v
					at[j] += v
					typ[j] += v
				}
			}
		}
	})
}
