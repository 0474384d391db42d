package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOneWrongKeyIsNamed(t *testing.T) {
	raw, err := os.ReadFile("testdata/wrong.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ YAML, Env, Key string }
	if err := yaml.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 25 {
		t.Fatalf("%d cases, want at least 25", len(cases))
	}
	for _, c := range cases {
		t.Run(c.YAML+c.Env, func(t *testing.T) {
			var environ []string
			if c.Env != "" {
				environ = []string{c.Env}
			}
			_, err := Load(write(t, c.YAML), environ)
			var e *Error
			if !errors.As(err, &e) || e.Key != c.Key {
				t.Fatalf("got %v, want an error that names %s", err, c.Key)
			}
		})
	}
}

func TestDefaultsFileAndEnvironment(t *testing.T) {
	got, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	if d := cmp.Diff(&want, got); d != "" {
		t.Fatal(d)
	}
	got, err = Load(write(t, "run: shadow_2\nkafka: {brokers: [a:1]}\nprofile: {rates: {USD: 0.79, EUR: '0.86'}, idle_after: 0s}\nclickhouse:\n"),
		[]string{"PROFILESTREAM_KAFKA_BROKERS=b:1,c:2", "PROFILESTREAM_CACHE=/x", "PROFILESTREAM_CLICKHOUSE_BATCH_ROWS=7", "HOME=/h"})
	if err != nil {
		t.Fatal(err)
	}
	want = Default()
	want.Run, want.Kafka.Brokers = "shadow_2", []string{"b:1", "c:2"}
	want.Profile.Rates = map[string]string{"USD": "0.79", "EUR": "0.86"}
	want.Profile.IdleAfter, want.ClickHouse.BatchRows = 0, 7
	if d := cmp.Diff(&want, got); d != "" {
		t.Fatal(d)
	}
	if got.Database() != "profilestream_shadow_2" || got.Topics().DLQ != "profile.shadow_2.dlq" {
		t.Fatal(got.Database(), got.Topics())
	}
}

func TestVersionFollowsWhatAProfileDependsOn(t *testing.T) {
	base := Default()
	v := base.Version()
	for name, change := range map[string]func(*Config){
		"lateness": func(c *Config) { c.Profile.Lateness += time.Hour },
		"skew":     func(c *Config) { c.Profile.MaxFutureSkew++ },
		"cap":      func(c *Config) { c.Profile.MaxEventsUserDay++ },
		"currency": func(c *Config) { c.Profile.Currency = "USD" },
		"rates":    func(c *Config) { c.Profile.Rates = map[string]string{"USD": "1"} },
	} {
		c := Default()
		change(&c)
		if c.Version() == v {
			t.Errorf("%s does not change the version", name)
		}
	}
	c := Default()
	c.Run, c.Profile.LiveInterval, c.Log.Partitions = "other", time.Hour, 3
	if c.Version() != v {
		t.Error("the version changes with what no profile depends on")
	}
}

func TestSecretsHide(t *testing.T) {
	c := Default()
	c.Kafka.SASL.Password = "hunter2"
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c)} {
		if strings.Contains(s, "hunter2") {
			t.Fatal("a secret is printed")
		}
	}
}
