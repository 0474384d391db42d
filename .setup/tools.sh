# The pinned linters, built by the Go toolchain and checked by its checksum database.

needs_tools() { need_go; }

install_tools() {
	say "tools: building staticcheck"
	(cd "$ROOT" && GOFLAGS= CGO_ENABLED=0 GOBIN="$CACHE/stage/tools/out/bin" \
		go install "$(pinned tools package)@$(pinned tools version)") || fail "tools: go install failed, see above."
	publish tools bin/staticcheck
}
