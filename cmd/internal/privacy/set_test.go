package privacy

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
)

// TestKeyedHash: test case 2 of RFC 4231, from many goroutines at once.
func TestKeyedHash(t *testing.T) {
	k := newKey("Jefe")
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for range 100 {
				if h := k.Hash([]byte("what do ya want for nothing?")); h.String() != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
					return errors.New(h.String())
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func TestKeysAreToldApartAndNotGivenAway(t *testing.T) {
	const secret = "0123456789abcdef"
	a, err := ErasureKey(&config.Privacy{ErasureKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	b := newKey("0123456789abcdeg")
	if a.ID == b.ID || len(a.ID) != 8 || a.Hash([]byte("u")) == b.Hash([]byte("u")) || strings.Contains(a.ID, secret[:4]) {
		t.Errorf("keys %s and %s", a.ID, b.ID)
	}
	if k, err := ErasureKey(&config.Privacy{}); k != nil || err != nil {
		t.Errorf("without a key: %v, %v", k, err)
	}
	var wrong *config.Error
	if _, err := ErasureKey(&config.Privacy{ErasureKey: "short"}); !errors.As(err, &wrong) {
		t.Errorf("a short key: %v", err)
	}
}

func TestPseudonymsAreOneAPersonAndStay(t *testing.T) {
	p, err := NewPseudonyms(&config.Privacy{PseudonymKey: "0123456789abcdef", PseudonymKeyID: "k1"})
	if err != nil {
		t.Fatal(err)
	}
	ann := p.Stored("ann")
	if ann == p.Stored("bob") || p.Stored(ann) != ann || !strings.HasPrefix(ann, "k1:") {
		t.Errorf("ann is %s, of whom the pseudonym is %s", ann, p.Stored(ann))
	}
	for _, looksLikeOne := range []string{"k1:ann", "k1:" + strings.Repeat("G", 32), "k2" + ann[2:], ann + "0", strings.ToUpper(ann)} {
		if p.Stored(looksLikeOne) == looksLikeOne {
			t.Errorf("%s is taken for a pseudonym and kept", looksLikeOne)
		}
	}
	if off, err := NewPseudonyms(&config.Privacy{}); off != nil || err != nil || off.Stored("ann") != "ann" {
		t.Errorf("off: %v, %v", off, err)
	}
}

// ruled is a set in which ann was erased at offset 50 of epoch 1 of clicks[0], as
// the record at offset 100 of log partition 2 says.
func ruled() *Set {
	s := NewSet(newKey("0123456789abcdef"), "log")
	s.Record(&profile.Erase{User: []byte("ann"), Positions: []profile.Position{{Source: profile.Source{Topic: "clicks", Epoch: 1}, NextOffset: 50}}}, 2, 100)
	return s
}

// TestCovers: an erasure takes all of the epochs before its own, and of its own
// what lies below it. Nothing of a newer epoch is covered: there offsets begin
// anew, with what the user did since.
func TestCovers(t *testing.T) {
	for name, c := range map[string]struct {
		user   string
		source profile.Source
		offset int64
		want   bool
	}{
		"below":             {"ann", profile.Source{Topic: "clicks", Epoch: 1}, 49, true},
		"at the end":        {"ann", profile.Source{Topic: "clicks", Epoch: 1}, 50, false},
		"older epoch":       {"ann", profile.Source{Topic: "clicks"}, 1 << 40, true},
		"newer epoch":       {"ann", profile.Source{Topic: "clicks", Epoch: 2}, 0, false},
		"another partition": {"ann", profile.Source{Topic: "clicks", Partition: 1, Epoch: 1}, 0, false},
		"another topic":     {"ann", profile.Source{Topic: "buys", Epoch: 1}, 0, false},
		"somebody else":     {"bob", profile.Source{Topic: "clicks", Epoch: 1}, 0, false},
	} {
		got, listed := ruled().Covers([]byte(c.user), &c.source, c.offset)
		if got != c.want || listed != c.want {
			t.Errorf("%s: covers %v, listed %v", name, got, listed)
		}
	}
	var nobody *Set
	if covers, _ := nobody.Covers([]byte("ann"), &profile.Source{Topic: "clicks"}, 0); covers || nobody.Hides([]byte("ann"), 2, 0) {
		t.Error("a set that is not there erases")
	}
}

// TestHides: rows of before the erase record, of that log partition and user.
func TestHides(t *testing.T) {
	for name, c := range map[string]struct {
		user      string
		partition int32
		offset    int64
		want      bool
	}{
		"before": {"ann", 2, 99, true}, "the record": {"ann", 2, 100, false}, "after": {"ann", 2, 101, false},
		"another log partition": {"ann", 1, 99, false}, "somebody else": {"bob", 2, 99, false},
	} {
		if got := ruled().Hides([]byte(c.user), c.partition, c.offset); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestNearMissesNothing: the check that saves a hash is never narrower than the
// rules, however they came and were replaced.
func TestNearMissesNothing(t *testing.T) {
	source := func(t *rapid.T) profile.Source {
		return profile.Source{Topic: rapid.SampledFrom([]string{"clicks", "buys"}).Draw(t, "topic"), Partition: rapid.Int32Range(0, 1).Draw(t, "partition"), Epoch: rapid.Int32Range(0, 2).Draw(t, "epoch")}
	}
	users := rapid.SampledFrom([]string{"ann", "bob", "eve"})
	rapid.Check(t, func(t *rapid.T) {
		s := NewSet(newKey("0123456789abcdef"), "log")
		rules := map[string]profile.Erase{}
		for range rapid.IntRange(1, 6).Draw(t, "erasures") {
			e := profile.Erase{User: []byte(users.Draw(t, "user"))}
			for range rapid.IntRange(0, 3).Draw(t, "positions") {
				e.Positions = append(e.Positions, profile.Position{Source: source(t), NextOffset: rapid.Int64Range(0, 5).Draw(t, "end")})
			}
			rules[string(e.User)] = e
			s.Record(&e, 0, 9)
		}
		user, src, offset := users.Draw(t, "who"), source(t), rapid.Int64Range(0, 5).Draw(t, "offset")
		rule := rules[user]
		if got, _ := s.Covers([]byte(user), &src, offset); got != rule.Covers(&src, offset) {
			t.Fatalf("%s at %+v@%d: %v, though the rule is %+v", user, src, offset, got, rule)
		}
	})
}
