// Package demo runs the whole pipeline on this machine: an embedded Kafka, an
// embedded ClickHouse as a child process, a simulated shop, and the stages of
// the three binaries through the same assembly. It shows progress and ends with
// what a marketer would ask for.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/engine"
	"profilestream/cmd/internal/runs"
	"profilestream/cmd/internal/simulate"
	"profilestream/cmd/internal/stage"
	"profilestream/cmd/internal/training"
	"profilestream/inference/bundle"
)

// Options size the demo.
type Options struct {
	Users, Days int
	Events      int64
	Seed        uint64
	Model       string // folder of the bundle; trained first if it is not there
	Encoder     string // folder of the imported encoder
	Keep        bool   // stay up after the tables are printed, with the console
	Dir         string // data folder; empty: a temporary one, removed at the end
	Out         io.Writer
	Progress    func(stage string, done, total int)
	// EndProgress ends the line of the stage at work.
	EndProgress func()
	Log         *slog.Logger
}

// demo is what is running.
type demo struct {
	o      Options
	cfg    *config.Config
	kafka  *kfake.Cluster
	engine *engine.Process
}

// Run runs the demo to its end, or, with Keep, until ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	start := time.Now()
	d := &demo{o: o}
	if o.Dir == "" {
		if d.o.Dir, err = os.MkdirTemp("", "profilestream-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.o.Dir)) }()
	}
	if err := d.model(ctx); err != nil {
		return err
	}
	if err := d.servers(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	until, err := d.feed(ctx)
	if err != nil {
		return err
	}
	if err := d.pipeline(ctx, until); err != nil {
		return err
	}
	o.EndProgress()
	if err := d.tables(ctx); err != nil {
		return err
	}
	if o.Keep {
		if err := d.keep(ctx); err != nil {
			return err
		}
	}
	return d.costs(start)
}

// keep serves the console over the shop until ctx ends.
func (d *demo) keep(ctx context.Context) error {
	c, err := stage.Console(d.cfg, stage.ConsoleOptions{Listen: "127.0.0.1:0", AllowSave: true, Lag: runs.ConsoleLag(d.cfg, d.o.Log), Log: d.o.Log})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.o.Out, "\nConsole    http://%s\nKafka      %s\nClickHouse http://%s (database %s)\nStays up until Ctrl-C.\n",
		c.Addr(), d.cfg.Kafka.Brokers[0], d.engine.Addr(), d.cfg.Database())
	return c.Run(ctx)
}

// model makes sure of a bundle, and says so where the gate refused it: a shop as
// small as the demo's cannot always show that its model is the better one.
func (d *demo) model(ctx context.Context) error {
	b, err := bundle.Load(d.o.Model)
	if err != nil {
		b, err = d.train(ctx)
	}
	if err != nil {
		return err
	}
	if reasons := b.Refused(); len(reasons) > 0 {
		_, err = fmt.Fprintf(d.o.Out, "The gate refused this model (%s). The demo uses it all the same, and every row's model_version says forced.\n", strings.Join(reasons, "; "))
	}
	return err
}

// train trains the demo's bundle on a shop of another seed.
func (d *demo) train(ctx context.Context) (*bundle.Bundle, error) {
	fmt.Fprintf(d.o.Out, "No model in %s: training one on another simulated shop first.\n", d.o.Model)
	shop := simulate.DefaultOptions()
	shop.Seed, shop.Users, shop.Days, shop.Events = d.o.Seed+1000, 700, 280, 70_000 // days enough for a horizon of 90
	shop.Late, shop.Poison = 0, 0
	dir := filepath.Join(d.o.Dir, "history")
	if _, err := simulate.WriteDir(ctx, shop, dir, func(done, total int64) { d.o.Progress("simulating a history", int(done), int(total)) }); err != nil {
		return nil, err
	}
	cfg := config.Default()
	b, err := training.Train(ctx, &cfg, training.Options{History: dir, Out: d.o.Model, Encoder: d.o.Encoder, Seed: d.o.Seed, Progress: d.o.Progress})
	if err != nil {
		return nil, fmt.Errorf("training the demo's model: %w", err)
	}
	return b, os.RemoveAll(dir)
}

// servers starts Kafka and ClickHouse and writes the configuration for them.
func (d *demo) servers(ctx context.Context) (err error) {
	if d.kafka, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(filepath.Join(d.o.Dir, "kafka"))); err != nil {
		return fmt.Errorf("starting the embedded Kafka: %w", err)
	}
	if d.engine, err = engine.Start(ctx, engine.Options{Path: filepath.Join(d.o.Dir, "clickhouse")}); err != nil {
		d.kafka.Close()
		return err
	}
	c := config.Default()
	c.Kafka.Brokers = d.kafka.ListenAddrs()
	c.ClickHouse.Addr = []string{d.engine.Addr()}
	c.Model.Dir = d.o.Model
	c.Profile.IdleAfter = 0
	c.Admin.DrainDeadline = 5 * time.Minute
	d.cfg = &c
	return c.Validate()
}

func (d *demo) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := d.engine.Stop(ctx)
	d.kafka.Close()
	return err
}

// costs prints what the demo took.
func (d *demo) costs(start time.Time) error {
	var self, children syscall.Rusage
	if err := errors.Join(syscall.Getrusage(syscall.RUSAGE_SELF, &self), syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)); err != nil {
		return err
	}
	peak, err := d.engine.PeakRSS()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.o.Out, "\n%s wall time, peak memory %d MiB for the pipeline and Kafka, %d MiB for ClickHouse.\n",
		time.Since(start).Round(time.Second), self.Maxrss>>10, peak>>20)
	return err
}
