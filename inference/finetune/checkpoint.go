package finetune

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// A checkpoint is a line of JSON, the parameters with their moments and the weights of
// the best epoch as little-endian float32, and a checksum of all of it (xxh3, 8 bytes).

// checkpointHeader says what run the file belongs to.
type checkpointHeader struct {
	Format int    `json:"format"`
	Run    string `json:"run"` // hash of weights, examples and options
	Floats int    `json:"floats"`
	State  state  `json:"state"`
}

const checkpointFormat = 1

// fingerprint tells runs apart whose checkpoints must not be mixed up. It is taken
// before the first step.
func (r *run) fingerprint() string {
	h := xxh3.New()
	o := r.o
	fmt.Fprintln(h, o.Epochs, o.Batch, o.Rate, o.HeadRate, o.Decay, o.Warmup, o.Clip, o.MaxLength, o.Patience, o.Seed, r.d.classes, r.d.labels, r.d.train, r.d.val)
	for _, ids := range r.d.ids {
		fmt.Fprintln(h, ids)
	}
	for _, p := range r.m.params {
		_, _ = h.Write(rawFloats(p.w))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// rawFloats is x as bytes of this machine's order, for hashing alone.
func rawFloats(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// tensors lists what the file holds, in order.
func (r *run) tensors() [][]float32 {
	var out [][]float32
	for _, p := range r.m.params {
		out = append(out, p.w, p.m, p.v)
	}
	return append(out, r.state.best...)
}

// write replaces the checkpoint at path; a crash leaves the old one or the new one.
func (r *run) write(path string) (err error) {
	h := checkpointHeader{Format: checkpointFormat, Run: r.identity, State: r.state}
	all := r.tensors()
	for _, t := range all {
		h.Floats += len(t)
	}
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return writeAtomic(path, func(f io.Writer) error {
		sum := xxh3.New()
		w := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		var b [4]byte
		for _, t := range all {
			for _, v := range t {
				binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
				if _, err := w.Write(b[:]); err != nil {
					return err
				}
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		_, err := f.Write(binary.LittleEndian.AppendUint64(nil, sum.Sum64()))
		return err
	})
}

// read takes the checkpoint at path over. Errors name the file.
func (r *run) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := r.readFrom(f); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

func (r *run) readFrom(f io.Reader) error {
	in := bufio.NewReaderSize(f, 1<<20)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return errors.New("this is no checkpoint")
	}
	sum := xxh3.New()
	_, _ = sum.Write(line)
	var h checkpointHeader
	if err := json.Unmarshal(line, &h); err != nil || h.Format != checkpointFormat {
		return errors.New("this is no checkpoint of this version")
	}
	if h.Run != r.identity {
		return errors.New("this is the checkpoint of other weights, examples or options: repeat those, or begin without --resume")
	}
	r.state = h.State
	if r.state.Best > 0 {
		r.state.best = r.m.copyWeights(nil)
	}
	all, n := r.tensors(), 0
	for _, t := range all {
		n += len(t)
	}
	if n != h.Floats {
		return fmt.Errorf("it holds %d numbers, want %d", h.Floats, n)
	}
	body := io.TeeReader(in, sum)
	b := make([]byte, 1<<16)
	for _, t := range all {
		for len(t) > 0 {
			k := min(len(t), len(b)/4)
			if _, err := io.ReadFull(body, b[:4*k]); err != nil {
				return errors.New("it ends early")
			}
			for i := range k {
				t[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			}
			t = t[k:]
		}
	}
	want := sum.Sum64()
	if _, err := io.ReadFull(in, b[:8]); err != nil || binary.LittleEndian.Uint64(b) != want {
		return errors.New("its checksum does not fit")
	}
	for _, p := range r.m.params {
		p.relive()
	}
	return nil
}

// writeAtomic writes path through a temporary file beside it, synced before it takes
// its name.
func writeAtomic(path string, fill func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err = fill(f); err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
