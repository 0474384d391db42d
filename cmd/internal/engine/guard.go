package engine

import (
	"net"
	"net/http"
	"net/url"
)

// crossOrigin holds for a request that a web page of another origin makes: every page that a browser on this machine
// shows can reach the loopback interface, and the engine has no passwords. Loopback must also be what the request
// was addressed to, or a name that an attacker resolves to it would do.
func crossOrigin(r *http.Request, loopbackOnly bool) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		if parsed, err := url.Parse(origin); err != nil || parsed.Host != r.Host {
			return true
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return loopbackOnly && !isLoopback(host)
}

// authorized holds for the one user that there is.
func authorized(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	if !ok {
		user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	}
	if user == "" && password == "" {
		user, password = r.URL.Query().Get("user"), r.URL.Query().Get("password")
	}
	return (user == "" || user == "default") && password == ""
}
