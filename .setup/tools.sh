# The pinned linters, built by the Go toolchain and checked by its checksum database.

install_tools() {
	need go "Go 1.26 or newer, from your package manager or the Go project's download page"
	say "tools: building staticcheck"
	(cd "$ROOT" && GOFLAGS= CGO_ENABLED=0 GOBIN="$CACHE/stage/tools/out/bin" \
		go install "$(pinned tools package)@$(pinned tools version)") || fail "tools: go install failed, see above."
	publish tools bin/staticcheck
}
