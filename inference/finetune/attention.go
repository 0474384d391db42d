package finetune

import (
	"math"

	"profilestream/inference/finetune/kernel"
)

// head describes one text's attention head: the places of its queries, keys, values
// and weights.
type head struct {
	n, width   int // tokens, and the head's share of hidden
	row        int // distance of rows in queries, keys, values: 3 hidden
	q, k, v    int // first element in qkvY
	ctx        int // first element in ctx
	probs, key int // first weight, and number of the head in the batch
}

// heads calls f for every head of the batch, on all workers.
func (m *Model) heads(f func(worker int, a head)) {
	h, count := m.config.Hidden, m.config.Heads
	width := h / count
	m.engine.For((len(m.offsets)-1)*count, func(w, i int) {
		b, j := i/count, i%count
		n, base := m.offsets[b+1]-m.offsets[b], m.offsets[b]*3*h+j*width
		f(w, head{
			n: n, width: width, row: 3 * h, q: base, k: base + h, v: base + 2*h,
			ctx: m.offsets[b]*h + j*width, probs: m.probsAt[b] + j*n*n, key: i,
		})
	})
}

func (m *Model) attentionScale() float32 {
	return float32(1 / math.Sqrt(float64(m.config.Hidden/m.config.Heads)))
}

// hideProbs copies the attention weights p into scratch memory and drops some; without
// dropout it returns p.
func (m *Model) hideProbs(worker, site int, p []float32, a head) []float32 {
	if !m.drop.on || m.dropout.Attention == 0 {
		return p
	}
	s := &m.scratch[worker][0]
	*s = kernel.Grow(*s, len(p))
	copy(*s, p)
	m.hideOn(*s, site, a)
	return *s
}

func (m *Model) hideOn(x []float32, site int, a head) {
	if m.drop.on && m.dropout.Attention > 0 {
		m.engine.DropoutOn(x, m.dropout.Attention, m.drop.key(site)+uint64(a.key))
	}
}

// attend sets ctx = softmax(Q K^T / sqrt(width)) V.
func (m *Model) attend(i int) {
	l, h, scale := &m.layers[i], m.config.Hidden, m.attentionScale()
	l.probs = kernel.Grow(l.probs, m.probsAt[len(m.probsAt)-1])
	m.heads(func(w int, a head) {
		p := l.probs[a.probs : a.probs+a.n*a.n]
		m.engine.MultiplyOn(w, &kernel.Product{TransB: true, M: a.n, N: a.n, K: a.width, A: l.qkvY[a.q:], LDA: a.row, B: l.qkvY[a.k:], LDB: a.row, C: p, LDC: a.n})
		for r := 0; r < len(p); r += a.n {
			m.engine.Softmax(p[r:r+a.n], scale)
		}
		p = m.hideProbs(w, layerSite(i, siteProbs), p, a)
		m.engine.MultiplyOn(w, &kernel.Product{M: a.n, N: a.width, K: a.n, A: p, LDA: a.n, B: l.qkvY[a.v:], LDB: a.row, C: l.ctx[a.ctx:], LDC: h})
	})
}

// attendBack sets dqkv, the gradient of queries, keys and values, from that of ctx.
func (m *Model) attendBack(i int, dctx, dqkv []float32) {
	l, h, scale := &m.layers[i], m.config.Hidden, m.attentionScale()
	site := layerSite(i, siteProbs)
	m.heads(func(w int, a head) {
		p, out := l.probs[a.probs:a.probs+a.n*a.n], dctx[a.ctx:]
		kept := m.hideProbs(w, site, p, a)
		m.engine.MultiplyOn(w, &kernel.Product{TransA: true, M: a.n, N: a.width, K: a.n, A: kept, LDA: a.n, B: out, LDB: h, C: dqkv[a.v:], LDC: a.row})
		s := &m.scratch[w][1]
		*s = kernel.Grow(*s, len(p))
		dp := *s
		m.engine.MultiplyOn(w, &kernel.Product{TransB: true, M: a.n, N: a.n, K: a.width, A: out, LDA: h, B: l.qkvY[a.v:], LDB: a.row, C: dp, LDC: a.n})
		m.hideOn(dp, site, a)
		for r := 0; r < len(p); r += a.n {
			pr, d := p[r:r+a.n], dp[r:r+a.n]
			mean := dot(pr, d)
			for j, v := range pr {
				d[j] = v * (d[j] - mean) * scale
			}
		}
		m.engine.MultiplyOn(w, &kernel.Product{M: a.n, N: a.width, K: a.n, A: dp, LDA: a.n, B: l.qkvY[a.k:], LDB: a.row, C: dqkv[a.q:], LDC: a.row})
		m.engine.MultiplyOn(w, &kernel.Product{TransA: true, M: a.n, N: a.width, K: a.n, A: dp, LDA: a.n, B: l.qkvY[a.q:], LDB: a.row, C: dqkv[a.k:], LDC: a.row})
	})
}
