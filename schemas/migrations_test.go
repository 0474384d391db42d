package schemas

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

func TestMigrationsAreRenderedFromTheFeatureList(t *testing.T) {
	files, err := Migrations()
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) < 4 {
		t.Fatalf("migrations %v, %v", names, err)
	}
	all := ""
	for i, name := range names {
		if want := fmt.Sprintf("%05d_", i+1); !strings.HasPrefix(name, want) {
			t.Errorf("migration %s: want number %s: a gap would be filled behind a database's back", name, want)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := fs.Stat(files, name)
		if err != nil || info.Size() != int64(len(text)) {
			t.Errorf("%s: size %d, want %d (%v)", name, info.Size(), len(text), err)
		}
		all += string(text)
	}
	for _, f := range Features {
		if n := strings.Count(all, "    `"+f.Name+"` "+f.ClickHouseType()+" COMMENT "); n != 3 {
			t.Errorf("feature %s is in %d tables, want 3", f.Name, n)
		}
	}
	if strings.Contains(all, "{{") || strings.Contains(all, "no value") {
		t.Error("a template is left in the migrations")
	}
	created := regexp.MustCompile(`(?m)^CREATE (?:MATERIALIZED )?\w+ (IF NOT EXISTS)?`).FindAllStringSubmatch(all, -1)
	for _, c := range created {
		if c[1] == "" {
			t.Error("a statement is not idempotent: it lacks IF NOT EXISTS")
		}
	}
}

func TestViewsShowTheSourceAndQuoteNames(t *testing.T) {
	views, err := Views("base", "odd`name")
	if err != nil || len(views) < 15 {
		t.Fatalf("%d views, %v", len(views), err)
	}
	for _, v := range views {
		if !strings.HasPrefix(v.Statement, "CREATE OR REPLACE VIEW `base`.`"+v.Name+"` AS") || !strings.Contains(v.Statement, "FROM `odd\\`name`.") {
			t.Errorf("view %s: %s", v.Name, v.Statement)
		}
		if !strings.Contains(v.Statement, "FINAL") && !strings.Contains(v.Statement, "refreshed_at") {
			t.Errorf("view %s does not show the newest rows alone", v.Name)
		}
	}
}

func TestAddFeatureColumnsKeepsTheOrder(t *testing.T) {
	s := AddFeatureColumns("profiles")
	if strings.Count(s, "ADD COLUMN IF NOT EXISTS") != NumFeatures || !strings.Contains(s, "AFTER `digest`,") || !strings.HasSuffix(s, "AFTER `days_since_last_order`") {
		t.Errorf("%s", s)
	}
}
