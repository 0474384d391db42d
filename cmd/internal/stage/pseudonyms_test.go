package stage

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/privacy"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream/wire"
)

func withPseudonyms(c *config.Config) {
	c.Privacy.PseudonymKey, c.Privacy.PseudonymKeyID = "fedcba9876543210", "k1"
}

// TestPseudonymsStandInForEveryID: nothing that admission writes holds an id, of
// events and of every kind of dead letter, and each user has one pseudonym.
func TestPseudonymsStandInForEveryID(t *testing.T) {
	r := newRig(t, withPseudonyms, withErasureKey)
	masks, err := privacy.NewPseudonyms(&r.env.Config.Privacy)
	r.must(err)
	const user = "Ann-Marie 7"
	b := new(wire.Builder)
	add := func(key, value string) { b.Add(day0.UnixMilli(), []byte(key), []byte(value)) }
	for _, c := range []input{view("1", user, day0), view("2", user, day0)} {
		add(user, c.value)
	}
	add("session of "+user, `{"event_id":"3","user\u005fid":"Ann\u002dMarie 7","user_id":"Ann-Marie\u00207","type":"search","query":"ü","ts":"2026-03-01T00:00:00Z"}`)
	add(user, `{"user_id":"`+user+`","type":"page_view","ts":"soon"}`)
	add(user, `{"user_id":["`+user+`"],"type":"page_view"}`)
	add(user, `{"user_id":"`+user+`","type":"page_view"`)
	add(user, `{"user_id":"`+strings.Repeat(user, 30)+`","type":"page_view"}`)
	add(user, strings.Repeat("[", 70)+`"`+user+`"`+strings.Repeat("]", 70))
	_, err = r.c.NewProducer(clicks.Topic, clicks.Partition, wire.ProducerConfig{}).Append(r.ctx(), b)
	r.must(err)
	r.admitted(nil)
	if got := r.holding("Marie"); len(got) > 0 {
		t.Errorf("the id is in %v", got)
	}
	stored := masks.Stored(user)
	if !strings.HasPrefix(stored, "k1:") || len(stored) != len("k1:")+32 || masks.Stored(stored) != stored {
		t.Errorf("pseudonym %q", stored)
	}
	var keys []string
	var rec profile.Record
	for p := range int32(r.env.Config.Log.Partitions) {
		r.records(r.env.Config.Topics().Events, p, func(x *wire.Record) {
			r.must(profile.DecodeRecord(x.Value, &rec))
			if rec.Kind == profile.KindEvent {
				if string(rec.Event.User) != stored || p != profile.Partition([]byte(stored), 2) || !bytes.Contains(rec.Event.Raw, []byte(stored)) {
					t.Errorf("event %s of user %s in partition %d", rec.Event.Raw, rec.Event.User, p)
				}
				keys = append(keys, string(rec.Event.Key))
			}
		})
	}
	if d := cmp.Diff([]string{stored, stored, ""}, keys); d != "" {
		t.Error("keys: ", d)
	}
	r.checkDeadLetters(map[string]int{"clickstream bad_time ts": 1, "clickstream wrong_type user_id": 1, "clickstream bad_json ": 2, "clickstream bad_id user_id": 1})
	cut := 0
	r.records(r.env.Config.Topics().DLQ, 0, func(x *wire.Record) {
		reason, _ := x.Header(schemas.HeaderReason)
		if _, ok := x.Header(schemas.HeaderTruncated); ok != (len(x.Value) == 0) || ok != unread(string(reason)) {
			t.Errorf("%s: cut %v, value %q", reason, ok, x.Value)
		} else if ok {
			cut++
		}
	})
	if cut != 2 {
		t.Errorf("%d values were not kept", cut)
	}
}

// TestErasureMeetsPseudonyms: one erasure holds for a run that stores pseudonyms
// and for the original ids in its inputs.
func TestErasureMeetsPseudonyms(t *testing.T) {
	r := newRig(t, withErasureKey, withPseudonyms, shortLateness)
	r.shop(0, 200)
	r.admitted(nil)
	masks, err := privacy.NewPseudonyms(&r.env.Config.Privacy)
	r.must(err)
	stored := masks.Stored(erasedUser)
	if r.holding(stored)["profile.live.events"] == 0 {
		t.Fatal("the search finds nothing at all")
	}
	r.erase(erasedUser, false)
	r.windowed(r.erasures())
	users := 0
	for p := range int32(2) {
		w, _ := r.owner(p)
		users += w.state.Users()
		r.must(w.Close())
	}
	if users != 12 {
		t.Errorf("%d users are left of 13", users)
	}
	later := r.other("later")
	later.admitted(later.erasures())
	if got := later.holding(stored); len(got) > 0 {
		t.Errorf("a later run holds the pseudonym in %v", got)
	}
	if covers, _ := later.erasures().Covers([]byte(stored), &profile.Source{Topic: clicks.Topic}, 3); !covers {
		t.Error("the erasure is not known under the pseudonym")
	}
}
