package console

import (
	"net/http"
	"regexp"

	"profilestream/schemas"
)

// segmentPrefix begins the name of every view that the console makes.
const segmentPrefix = "segment_"

var segmentName = regexp.MustCompile(`^[a-z0-9_]{1,48}$`)

// save makes a view of a segment: the console's only write. A view of that name
// is never replaced.
func (c *Console) save(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return wrongInput{"The form cannot be read."}
	}
	f, err := parseFilter(r.PostForm)
	if err != nil {
		return err
	}
	name := r.PostForm.Get("name")
	switch problem := f.Complaint(); {
	case c.o.Writer == nil:
		return c.showSegment(w, r, http.StatusForbidden, f, "", "Saving is off: the console was started without --allow-save.")
	case problem != "":
		return c.showSegment(w, r, http.StatusBadRequest, f, "", problem)
	case len(f.Conditions) == 0:
		return c.showSegment(w, r, http.StatusBadRequest, f, "", "A segment of everybody needs no view: profiles_latest is one.")
	case !segmentName.MatchString(name):
		return c.showSegment(w, r, http.StatusBadRequest, f, "", "A name has 1 to 48 of the letters a to z, digits and underscores.")
	}
	view := segmentPrefix + name
	err = c.o.Writer.Exec(r.Context(), "CREATE VIEW "+schemas.QuoteIdentifier(view)+" AS\n"+memberSQL(f.literal()))
	if hasCode(err, tableExists) {
		return c.showSegment(w, r, http.StatusConflict, f, "", "There is a view "+view+" already; choose another name.")
	}
	if err != nil {
		return named("to make a view", err)
	}
	c.o.Log.Info("a segment was saved", "view", view)
	return c.showSegment(w, r, http.StatusCreated, f, view, "")
}
