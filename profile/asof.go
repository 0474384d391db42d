package profile

import (
	"errors"
	"fmt"
	"slices"

	"profilestream/schemas"
)

// EmitAsOf emits into Days a row of every user as of the end of the UTC day that holds the
// instant, due or not, ordered by user: the rows of a training set, and of a file that is scored.
// Events later than that end play no part in them. The day must not have been closed before
// events of later days came, which holds for the day of W and later ones.
func (p *LogPartition) EmitAsOf(millis int64) error {
	day := dayOf(millis)
	if day < p.closed {
		return fmt.Errorf("emitting rows as of day %d: days up to %d are closed", day, p.closed)
	}
	if p.store != nil {
		return errors.New("rows as of a time need all users in memory, here a store holds them")
	}
	if p.work.pending {
		return ErrUnfinished
	}
	ids := make([]string, 0, len(p.users))
	for id := range p.users {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		u := p.users[id]
		if _, ok := u.lastEventDay(day); ok {
			p.dayRow(u, day, schemas.TriggerDay, p.offset)
		}
	}
	return nil
}
