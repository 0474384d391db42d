package finetune

import (
	"fmt"
	"math"
)

// oracle is the same network in float64, written for reading: plain loops, no shared
// code, one text at a time. Gradients are checked against differences of its loss.
type oracle struct {
	w      map[string][]float64
	hidden int
	heads  int
	layers int
	eps    float64
}

func newOracle(m *Model) *oracle {
	o := &oracle{w: map[string][]float64{}, hidden: m.config.Hidden, heads: m.config.Heads, layers: m.config.Layers, eps: m.config.Epsilon}
	for _, p := range m.params {
		v := make([]float64, len(p.w))
		for i, x := range p.w {
			v[i] = float64(x)
		}
		o.w[p.name] = v
	}
	return o
}

func (o *oracle) affine(name string, x [][]float64) [][]float64 {
	w, b := o.w[name+".weight"], o.w[name+".bias"]
	out := make([][]float64, len(x))
	for i, row := range x {
		for j := range b {
			s := b[j]
			for k, v := range row {
				s += v * w[j*len(row)+k]
			}
			out[i] = append(out[i], s)
		}
	}
	return out
}

func (o *oracle) normed(name string, x [][]float64) [][]float64 {
	g, b := o.w[name+".weight"], o.w[name+".bias"]
	out := make([][]float64, len(x))
	for i, row := range x {
		var mean, spread float64
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			spread += (v - mean) * (v - mean) / float64(len(row))
		}
		for j, v := range row {
			out[i] = append(out[i], (v-mean)/math.Sqrt(spread+o.eps)*g[j]+b[j])
		}
	}
	return out
}

func plus(a, b [][]float64) [][]float64 {
	for i := range a {
		for j := range a[i] {
			a[i][j] += b[i][j]
		}
	}
	return a
}

func (o *oracle) attention(p string, x [][]float64) [][]float64 {
	qkv, n, width := o.affine(p+"attention.self.qkv", x), len(x), o.hidden/o.heads
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, o.hidden)
	}
	for h := range o.heads {
		for i := range n {
			score, sum := make([]float64, n), 0.
			for j := range n {
				var s float64
				for k := range width {
					s += qkv[i][h*width+k] * qkv[j][o.hidden+h*width+k]
				}
				score[j] = math.Exp(s / math.Sqrt(float64(width)))
				sum += score[j]
			}
			for j := range n {
				for k := range width {
					out[i][h*width+k] += score[j] / sum * qkv[j][2*o.hidden+h*width+k]
				}
			}
		}
	}
	return out
}

// logits of one text.
func (o *oracle) logits(ids []int32) []float64 {
	x := make([][]float64, len(ids))
	for i, id := range ids {
		for j := range o.hidden {
			x[i] = append(x[i], o.w["embeddings.word_embeddings.weight"][int(id)*o.hidden+j]+
				o.w["embeddings.position_embeddings.weight"][i*o.hidden+j]+o.w["embeddings.token_type_embeddings.weight"][j])
		}
	}
	x = o.normed("embeddings.LayerNorm", x)
	for l := range o.layers {
		p := fmt.Sprintf("encoder.layer.%d.", l)
		x = o.normed(p+"attention.output.LayerNorm", plus(o.affine(p+"attention.output.dense", o.attention(p, x)), x))
		h := o.affine(p+"intermediate.dense", x)
		for i := range h {
			for j, v := range h[i] {
				h[i][j] = v * .5 * (1 + math.Erf(v/math.Sqrt2))
			}
		}
		x = o.normed(p+"output.LayerNorm", plus(o.affine(p+"output.dense", h), x))
	}
	mean, length := make([]float64, o.hidden), 0.
	for _, row := range x {
		for j, v := range row {
			mean[j] += v / float64(len(x))
		}
	}
	for _, v := range mean {
		length += v * v
	}
	for j := range mean {
		mean[j] *= math.Sqrt(float64(o.hidden) / length)
	}
	return o.affine("classifier", [][]float64{mean})[0]
}

func (o *oracle) loss(texts [][]int32, labels []int) float64 {
	var total float64
	for i, t := range texts {
		z, sum := o.logits(t), 0.
		for _, v := range z {
			sum += math.Exp(v)
		}
		total += math.Log(sum) - z[labels[i]]
	}
	return total / float64(len(texts))
}
