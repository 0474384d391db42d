package console

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds one step in the browser.
const patience = 45 * time.Second

//go:embed testdata/checks.js
var checks string

// startBrowser starts a Chromium that ends with the test.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium is here: make setup-tests installs one, or set CHROMIUM to its path")
	}
	options := slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.Flag("headless", "new"), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	})
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return ctx
}

// tab is a page with cookies of its own. What goes wrong in it by itself fails
// the test at its end: errors and warnings of the console, exceptions, answers
// that are errors, and requests to any other host.
type tab struct {
	testing.TB
	ctx    context.Context
	origin string
	plain  bool // scripts are off

	mu       sync.Mutex
	mishaps  []string
	requests int
}

func newTab(t testing.TB, browser context.Context, origin string) *tab {
	t.Helper()
	p := &tab{TB: t, origin: origin}
	var end context.CancelFunc
	p.ctx, end = chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	t.Cleanup(end)
	p.do(chromedp.EmulateViewport(1280, 900))
	return p
}

// sound ends a test of a tab in which nothing may go wrong.
func (p *tab) sound() {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mishaps) > 0 || p.requests == 0 {
		p.Errorf("%d requests, and what the browser complains of: %s", p.requests, strings.Join(p.mishaps, "\n"))
	}
}

func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mishap := func(format string, args ...any) { p.mishaps = append(p.mishaps, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		mishap("exception: %s %s", e.ExceptionDetails.Text, described(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			mishap("console: %s", described(e.Args...))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			mishap("log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		p.requests++
		if to, err := url.Parse(e.Request.URL); err != nil || to.Scheme != "data" && to.Scheme+"://"+to.Host != p.origin {
			mishap("request to outside: %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			mishap("answer %d: %s", e.Response.Status, e.Response.URL)
		}
	}
}

func described(objects ...*runtime.RemoteObject) string {
	var words []string
	for _, o := range objects {
		if o != nil {
			words = append(words, string(o.Value)+o.Description)
		}
	}
	return strings.Join(words, " ")
}

// do takes steps that must succeed.
func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	// The first step makes the tab, which lives as long as its context.
	if err := chromedp.Do(p.ctx); err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](p *tab, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

// check runs one of testdata/checks.js.
func check[T any](p *tab, call string) T {
	p.Helper()
	return ask[T](p, strings.TrimSpace(checks)+"."+call)
}

// until waits for an expression to be true, across pages.
func (p *tab) until(expression string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); ok && err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
			p.Fatalf("waited in vain for %s at %s", expression, text)
		}
	}
}

// settled holds for a page whose charts are drawn and whose parts have come.
const settled = `document.readyState === "complete" && [...document.querySelectorAll("[data-chart]")].every((f) => f.dataset.points) &&
	[...document.querySelectorAll("[data-load]")].every((p) => p.querySelector("table"))`

// leave waits for the next page after a step that leads there.
func (p *tab) leave(step func()) {
	p.Helper()
	ask[bool](p, "window.left = true")
	step()
	if p.plain {
		p.until(`!window.left && document.readyState === "complete"`)
		return
	}
	p.until("!window.left && " + settled)
}

func (p *tab) open(path string) {
	p.Helper()
	p.leave(func() { p.do(chromedp.Navigate(p.origin + path)) })
}

func (p *tab) click(selector string) {
	p.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *tab) press(keys string) {
	p.Helper()
	p.do(chromedp.KeyEvent(keys))
}

func (p *tab) text(selector string) string {
	p.Helper()
	return ask[string](p, fmt.Sprintf("(document.querySelector(%q)?.innerText ?? '').trim()", selector))
}

// scheme is the theme that the reader's system asks for.
func (p *tab) scheme(name string) {
	p.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	}))
}

func (p *tab) withoutScripts() {
	p.Helper()
	p.plain = true
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// control are the roles of what a reader can work or look at.
var control = map[string]bool{
	"button": true, "link": true, "textbox": true, "searchbox": true, "combobox": true, "spinbutton": true, "checkbox": true, "slider": true, "image": true, "img": true, "Date": true, "DisclosureTriangle": true,
}

// nameless lists the controls of the page that a screen reader cannot name, and
// says if there are none at all.
func (p *tab) nameless() (complaints []string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tree, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	if err != nil {
		p.Fatal(err)
	}
	controls := 0
	for _, n := range tree.Nodes {
		role, name := word(n.Role), word(n.Name)
		if n.Ignored || !control[role] {
			continue
		}
		controls++
		if strings.TrimSpace(name) == "" {
			complaints = append(complaints, fmt.Sprintf("a %s without a name", role))
		}
	}
	if controls == 0 {
		complaints = append(complaints, "no controls were seen")
	}
	return complaints
}

func word(v *accessibility.Value) (s string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &s)
	}
	return s
}
