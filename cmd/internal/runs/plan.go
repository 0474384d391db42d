package runs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/models"
	"profilestream/inference/bundle"
	"profilestream/schemas"
	"profilestream/stream/wire"
)

// Loader makes a configuration of the operator's file and environment, with the
// keys given winning over both.
type Loader func(over map[string]string) (*config.Config, error)

// Request is how a run is asked for.
type Request struct {
	Name string
	From string // earliest or a time: where the topics are read from
	Of   string // run whose event log is read instead
	// Archive are files and folders that are read before the topics, which follow
	// only where From is a time.
	Archive []string
	Over    map[string]string // configuration keys
	// Model is the folder of a bundle; empty: the model that the run of the
	// configuration works with.
	Model string
	Force bool // take a bundle that the gate refused
	Drain bool
	Until time.Time
}

// ErrInUse: the name belongs to a run that was started otherwise.
var ErrInUse = errors.New("the name is in use")

// changing are the keys that may differ each time a run is started: no row
// depends on them.
var changing = []string{
	"input.rate", "profile.live_interval", "profile.checkpoint_interval", "profile.state_dir", "profile.state_cache_mib", "profile.restore_mib_per_second",
	"model.dir", "model.store", "model.batch_tokens", "model.threads", "model.cache_mib", "model.timeout", "model.cache_dir", "model.cache_disk_mib",
}

// fixed says that a key is one of those that a run keeps for life.
func fixed(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return slices.Contains([]string{"run", "input", "log", "profile", "model"}, section) && !slices.Contains(changing, key)
}

// plan makes the record and the configuration of what is asked for, as if the
// run were new.
func plan(ctx context.Context, c *wire.Client, load Loader, r *Request) (*Record, *config.Config, error) {
	base, err := load(nil)
	if err != nil {
		return nil, nil, err
	}
	if r.Name == base.Run {
		return nil, nil, &config.Error{Key: "run", Reason: fmt.Sprintf("%s is the run of the configuration itself: give the new one another name", r.Name)}
	}
	over := map[string]string{"run": r.Name}
	maps.Copy(over, r.Over)
	if r.From != "" {
		over["input.start"] = r.From
	}
	if r.Of != "" {
		tps, err := c.Partitions(ctx, schemas.RunTopics(r.Of).Events)
		if err != nil {
			return nil, nil, fmt.Errorf("the event log of run %s: %w", r.Of, err)
		}
		over["log.of"], over["log.partitions"], over["input.start"] = r.Of, strconv.Itoa(len(tps)), "earliest"
	}
	rec := &Record{Format: recordFormat, Run: r.Name, Of: base.Run, Started: time.Now().UTC().Truncate(time.Millisecond), Drain: r.Drain || !r.Until.IsZero(), Until: r.Until}
	if len(r.Archive) > 0 {
		if err := rec.archive(base, r, over); err != nil {
			return nil, nil, err
		}
	}
	if err := rec.model(ctx, c, base, r, over); err != nil {
		return nil, nil, err
	}
	cfg, err := load(over)
	if err != nil {
		return nil, nil, err
	}
	rec.Keys = over
	for key, value := range cfg.Keys() {
		if fixed(key) {
			rec.Keys[key] = value
		}
	}
	rec.ConfigVersion = cfg.Version()
	return rec, cfg, nil
}

// archive makes the files the run's first inputs.
func (rec *Record) archive(base *config.Config, r *Request, over map[string]string) (err error) {
	a := &Archive{}
	if a.Files, err = findFiles(r.Archive); err != nil {
		return err
	}
	topics := archiveTopics(r.Name)
	if r.From != "" {
		if a.Before, err = time.Parse(time.RFC3339, r.From); err != nil {
			return &config.Error{Key: "input.start", Reason: fmt.Sprintf("with an archive the topics are read from a time on, not from %q", r.From)}
		}
		topics = append(topics, base.Input.Topics...)
	} else {
		rec.Drain = true
		if _, ok := over["profile.idle_after"]; !ok {
			over["profile.idle_after"] = "0s" // files have no clock
		}
	}
	over["input.topics"], over["input.start"] = strings.Join(topics, ","), "earliest"
	rec.Archive = a
	return nil
}

// model says which bundle the run works with: the one asked for, or the one that
// the run of the configuration works with now.
func (rec *Record) model(ctx context.Context, c *wire.Client, base *config.Config, r *Request, over map[string]string) error {
	dir, forced := r.Model, false
	if dir == "" {
		dir = over["model.dir"]
	}
	if dir == "" {
		dir = base.Model.Dir
		topics, err := c.Topics(ctx)
		if err != nil {
			return err
		}
		if topics[schemas.ModelsTopic] > 0 {
			newest, _, err := models.Newest(ctx, c, base.Run)
			if err != nil {
				return err
			}
			if p := newest.Current(); p.Number > 0 {
				dir, forced = (models.Store{Dir: base.Model.StoreDir()}).Path(p.Bundle), p.Forced
			}
		}
	}
	b, err := bundle.Load(dir)
	if err != nil {
		return fmt.Errorf("the model of run %s: %w", r.Name, err)
	}
	if reasons := b.Refused(); len(reasons) > 0 {
		if rec.Forced = forced || r.Force; !rec.Forced {
			return fmt.Errorf("%s: the gate refused bundle %s (--force takes it all the same):\n  - %s", dir, b.ID(), strings.Join(reasons, "\n  - "))
		}
	}
	if rec.Bundle = b.ID(); over["model.store"] == "" {
		over["model.store"] = base.Model.StoreDir()
	}
	for key, path := range map[string]string{"model.dir": dir, "model.store": over["model.store"]} {
		if over[key], err = filepath.Abs(path); err != nil {
			return err
		}
	}
	return nil
}

// goOn is the configuration of a run that exists, if what is asked for fits it:
// what is given must be as it was, but for the keys that may change.
func (rec *Record) goOn(load Loader, r *Request) (*config.Config, error) {
	keys := maps.Clone(rec.Keys)
	maps.Copy(keys, r.Over)
	if r.Of != "" {
		keys["log.of"] = r.Of
	}
	if r.From != "" && rec.Archive == nil {
		keys["input.start"] = r.From
	}
	cfg, err := load(keys)
	if err != nil {
		return nil, err
	}
	if err := rec.differs(cfg, r); err != nil {
		return nil, err
	}
	if v := cfg.Version(); v != rec.ConfigVersion {
		return nil, fmt.Errorf("%w: run %s was started by a program with other features (config_version %s, this one has %s): start another run", ErrInUse, rec.Run, rec.ConfigVersion, v)
	}
	b, err := bundle.Load(cfg.Model.Dir)
	if err != nil {
		return nil, fmt.Errorf("the model of run %s: %w", rec.Run, err)
	}
	if b.ID() != rec.Bundle {
		return nil, fmt.Errorf("%w: run %s works with bundle %s, and %s now holds %s: bring the former back, or start another run", ErrInUse, rec.Run, rec.Bundle, cfg.Model.Dir, b.ID())
	}
	return cfg, nil
}

// differs names what is asked for otherwise than the run was started.
func (rec *Record) differs(cfg *config.Config, r *Request) error {
	var why []string
	now := cfg.Keys()
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if was := rec.Keys[key]; fixed(key) && was != now[key] {
			why = append(why, fmt.Sprintf("%s is %s, not %s", key, was, now[key]))
		}
	}
	if r.Model != "" {
		if b, err := bundle.Load(r.Model); err != nil {
			return err
		} else if b.ID() != rec.Bundle {
			why = append(why, fmt.Sprintf("its model is bundle %s, not %s", rec.Bundle, b.ID()))
		}
	}
	if asked := (Record{Drain: true, Until: r.Until}); (r.Drain || !r.Until.IsZero()) && rec.end() != asked.end() {
		why = append(why, fmt.Sprintf("it ends %s, not %s", rec.end(), asked.end()))
	}
	if files, err := rec.otherFiles(r); err != nil {
		return err
	} else if files != "" {
		why = append(why, files)
	}
	if len(why) == 0 {
		return nil
	}
	if v := cfg.Version(); v != rec.ConfigVersion {
		why = append(why, fmt.Sprintf("so config_version is %s, not %s", rec.ConfigVersion, v))
	}
	return fmt.Errorf("%w: run %s was started otherwise: %s. Give another name, or retire it first; without flags the run goes on as it was started", ErrInUse, rec.Run, strings.Join(why, "; "))
}

// otherFiles says how an archive that is asked for differs.
func (rec *Record) otherFiles(r *Request) (string, error) {
	if len(r.Archive) == 0 && (rec.Archive == nil || r.From == "") {
		return "", nil
	}
	asked := Record{Keys: rec.Keys, Archive: &Archive{}}
	if rec.Archive != nil {
		*asked.Archive = *rec.Archive
	}
	if len(r.Archive) > 0 {
		files, err := findFiles(r.Archive)
		if err != nil {
			return "", err
		}
		asked.Archive.Files = files
	}
	if r.From != "" {
		asked.Archive.Before, _ = time.Parse(time.RFC3339, r.From)
	}
	if rec.Archive.equal(asked.Archive) {
		return "", nil
	}
	return fmt.Sprintf("it reads %s, not %s", rec.From(), asked.From()), nil
}

func (rec *Record) end() string {
	switch {
	case !rec.Until.IsZero():
		return "at " + rec.Until.Format(time.RFC3339)
	case rec.Drain:
		return "when its inputs are worked off"
	}
	return "never"
}
