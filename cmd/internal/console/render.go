package console

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

// errSent ends a handler whose answer is already on its way.
var errSent = errors.New("the answer is on its way")

type pages struct{ byName map[string]*template.Template }

// parsePages parses each page with the layout and the parts that pages share.
func parsePages(a *assets, currency string) (*pages, error) {
	funcs := template.FuncMap{"asset": a.url}
	for name, f := range formats(currency) {
		funcs[name] = f
	}
	p := &pages{byName: map[string]*template.Template{}}
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, fmt.Errorf("listing the embedded pages: %w", err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := template.New("layout.html").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", path.Join("templates", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("parsing the page %s: %w", name, err)
		}
		p.byName[name] = t
	}
	return p, nil
}

// view is what the layout shows around a page.
type view struct {
	Page, Title, Theme string
	Run, Database      string
	Saves              bool
	Data               any
}

// render sends a page whole, or an error before its first byte.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, page, title string, data any) error {
	v := view{Page: page, Title: title, Run: c.o.Run, Database: c.o.Database, Saves: c.o.Writer != nil, Data: data}
	if cookie, err := r.Cookie("theme"); err == nil && (cookie.Value == "dark" || cookie.Value == "light") {
		v.Theme = cookie.Value
	}
	return c.send(w, status, page, "layout.html", v)
}

// fragment sends one named part of a page.
func (c *Console) fragment(w http.ResponseWriter, page, part string, data any) error {
	return c.send(w, http.StatusOK, page, part, data)
}

func (c *Console) send(w http.ResponseWriter, status int, page, part string, data any) error {
	var b bytes.Buffer
	if err := c.pages.byName[page].ExecuteTemplate(&b, part, data); err != nil {
		return fmt.Errorf("rendering the page %s: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := b.WriteTo(w); err != nil {
		return errSent
	}
	return nil
}
