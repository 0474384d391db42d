package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/train"
	"profilestream/schemas"
)

// Latent reads a simulator's truth about the rows' users as of the rows' times;
// nil without the file. Bots and users that it does not name are not known.
func Latent(path string, rows []arrow.Record) (*train.Latent, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the truth: %w", err)
	}
	defer f.Close()
	type user struct {
		ID         string     `json:"user_id"`
		Bot        bool       `json:"bot"`
		DroppedOut *time.Time `json:"dropped_out_at"`
		Spend90    float64    `json:"expected_spend_90d"`
	}
	users := map[string]user{}
	err = eachLine(f, func(b []byte) error {
		var u user
		if err := json.Unmarshal(b, &u); err != nil {
			return err
		}
		users[u.ID] = u
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	l := &train.Latent{}
	for _, rec := range rows {
		ids := rec.Column(schemas.ColUserID).(*array.String)
		at := rec.Column(schemas.ColAsOf).(*array.Timestamp).TimestampValues()
		for i := range at {
			u, ok := users[ids.Value(i)]
			gone := u.DroppedOut != nil && u.DroppedOut.UnixMilli() <= int64(at[i])
			spend := u.Spend90
			if gone {
				spend = 0
			}
			l.Known, l.Gone, l.Spend = append(l.Known, ok && !u.Bot), append(l.Gone, gone), append(l.Spend, spend)
		}
	}
	return l, nil
}
