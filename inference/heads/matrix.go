package heads

// Matrix is a row-major float32 matrix whose rows lie Stride apart, so that the
// first columns of a wider one can be read without a copy.
type Matrix struct {
	Rows, Cols, Stride int
	Data               []float32
}

// NewMatrix allocates a matrix of zeros.
func NewMatrix(rows, cols int) *Matrix {
	return &Matrix{Rows: rows, Cols: cols, Stride: cols, Data: make([]float32, rows*cols)}
}

// Row is the slice of row i.
func (m *Matrix) Row(i int) []float32 {
	return m.Data[i*m.Stride : i*m.Stride+m.Cols : i*m.Stride+m.Cols]
}

// Narrow views the first cols columns.
func (m *Matrix) Narrow(cols int) *Matrix {
	return &Matrix{Rows: m.Rows, Cols: cols, Stride: m.Stride, Data: m.Data}
}

// Resize gives the matrix a shape, reusing its memory; contents are undefined.
func (m *Matrix) Resize(rows, cols int) {
	m.Rows, m.Cols, m.Stride = rows, cols, cols
	if cap(m.Data) < rows*cols {
		m.Data = make([]float32, rows*cols)
	}
	m.Data = m.Data[:rows*cols]
}

// Select copies the given rows.
func (m *Matrix) Select(rows []int) *Matrix {
	out := NewMatrix(len(rows), m.Cols)
	for k, i := range rows {
		copy(out.Row(k), m.Row(i))
	}
	return out
}

// MulT computes dst[i,j] = bias[j] + x[i,:]·w[j,:], w having one row of x.Cols
// weights an output. Each element is one sum over the columns in order, whatever
// tile it falls in, so a row's result does not depend on its neighbours.
func MulT(dst, x *Matrix, w, bias []float32) {
	n, k := len(bias), x.Cols
	i := 0
	for ; i+2 <= x.Rows; i += 2 {
		a0, a1 := x.Row(i), x.Row(i+1)
		d0, d1 := dst.Row(i), dst.Row(i+1)
		j := 0
		for ; j+4 <= n; j += 4 {
			tile2x4(d0[j:j+4], d1[j:j+4], a0, a1, w[j*k:(j+4)*k], bias[j:j+4])
		}
		for ; j < n; j++ {
			d0[j] = dot(a0, w[j*k:(j+1)*k], bias[j])
			d1[j] = dot(a1, w[j*k:(j+1)*k], bias[j])
		}
	}
	for ; i < x.Rows; i++ {
		a, d := x.Row(i), dst.Row(i)
		for j := range d[:n] {
			d[j] = dot(a, w[j*k:(j+1)*k], bias[j])
		}
	}
}

// tile2x4 computes two rows by four outputs with eight independent sums, which
// hides the latency of the additions.
func tile2x4(d0, d1, a0, a1, w, bias []float32) {
	k := len(a0)
	a1 = a1[:k]
	w0, w1, w2, w3 := w[:k], w[k:2*k], w[2*k:3*k], w[3*k:4*k]
	w1, w2, w3 = w1[:k], w2[:k], w3[:k]
	s00, s01, s02, s03 := bias[0], bias[1], bias[2], bias[3]
	s10, s11, s12, s13 := s00, s01, s02, s03
	for p, x0 := range a0 {
		x1 := a1[p]
		v0, v1, v2, v3 := w0[p], w1[p], w2[p], w3[p]
		s00 += x0 * v0
		s01 += x0 * v1
		s02 += x0 * v2
		s03 += x0 * v3
		s10 += x1 * v0
		s11 += x1 * v1
		s12 += x1 * v2
		s13 += x1 * v3
	}
	d0[0], d0[1], d0[2], d0[3] = s00, s01, s02, s03
	d1[0], d1[1], d1[2], d1[3] = s10, s11, s12, s13
}

// dot is start + a·b, summed in order.
func dot(a, b []float32, start float32) float32 {
	b = b[:len(a)]
	for i, x := range a {
		start += x * b[i]
	}
	return start
}
