package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// sessionCookie proves that its browser has shown the token.
const sessionCookie = "profilestream_console"

// MinTokenBytes is the shortest token that guards anything.
const MinTokenBytes = 16

func newSession() string { return rand.Text() }

// guard lets in who shows the token, by header or by a cookie from the login
// page. Without a token it answers only to names of the loopback address: a
// page elsewhere could otherwise point its own name here and read.
func (c *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case c.o.Token == "" && !IsLoopback(r.Host):
			http.Error(w, "without a token the console answers to localhost only", http.StatusForbidden)
		case c.o.Token == "" || open(r.URL.Path) || c.knows(r):
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet && asksForPage(r):
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		default:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
		}
	})
}

// asksForPage holds for a reader, not for a script of a page.
func asksForPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// open holds for what shows nothing of a customer.
func open(path string) bool {
	return path == "/login" || path == "/healthz" || strings.HasPrefix(path, "/assets/")
}

func (c *Console) knows(r *http.Request) bool {
	if shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return same(shown, c.o.Token)
	}
	cookie, err := r.Cookie(sessionCookie)
	return err == nil && same(cookie.Value, c.session)
}

// same compares in a time that tells nothing of the secret, its length included.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) error {
	return c.render(w, r, http.StatusOK, "login", "Sign in", "")
}

// login trades the token for a cookie that ends with the browser or with this
// process, and that no other site can make a browser send.
func (c *Console) login(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if c.o.Token == "" || !same(strings.TrimSpace(r.PostFormValue("token")), c.o.Token) {
		return c.render(w, r, http.StatusUnauthorized, "login", "Sign in", "This is not the token.")
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: c.session, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// IsLoopback holds for localhost and for addresses of this machine alone, with
// a port or without.
func IsLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// CheckListen refuses an address that others can reach, unless a token guards
// it.
func CheckListen(addr, token string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	switch {
	case token != "" && len(token) < MinTokenBytes:
		return fmt.Errorf("the token is shorter than %d bytes", MinTokenBytes)
	case token == "" && !IsLoopback(addr):
		return fmt.Errorf("%s can be reached from other machines: give a token, or listen on 127.0.0.1", addr)
	}
	return nil
}
