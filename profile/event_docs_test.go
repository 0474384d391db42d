package profile

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"profilestream/schemas"
)

// TestEventDocsListEveryClassAndReason holds docs/events.md to the corpus.
func TestEventDocsListEveryClassAndReason(t *testing.T) {
	text, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := string(text)
	rows := 0
	for _, c := range schemas.Poison() {
		field := ""
		if c.Field != "" {
			field = "`" + c.Field + "`"
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s |", c.Class, c.Topic, c.Reason, field)
		if !strings.Contains(docs, "\n"+row) {
			t.Errorf("docs/events.md has no row %s", row)
		}
		rows++
	}
	_, table, _ := strings.Cut(docs, "## Poison classes")
	if n := strings.Count(table, "\n| `"); n != rows {
		t.Errorf("docs/events.md lists %d classes, the corpus has %d", n, rows)
	}
	for _, r := range []string{
		ReasonTooLarge, ReasonBadJSON, ReasonTooDeep, ReasonMissingField, ReasonWrongType, ReasonBadID,
		ReasonUnknownType, ReasonBadTime, ReasonFuture, ReasonBadAmount, ReasonBadCurrency, ReasonHot,
	} {
		if !strings.Contains(docs, "\n| `"+r+"` |") {
			t.Errorf("docs/events.md does not explain %s", r)
		}
	}
	for typ := TypePageView; typ <= lastType; typ++ {
		if !strings.Contains(docs, typ.String()) {
			t.Errorf("docs/events.md does not name %s", typ)
		}
	}
}
