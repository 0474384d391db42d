# Tools pinned by version, built by the Go toolchain and checked by its checksum database.

needs_tools() { need_go; }
needs_sbom() { need_go; }
needs_vuln() { need_go; }

install_tools() { install_go_tool tools; }
install_sbom() { install_go_tool sbom; }
install_vuln() { install_go_tool vuln; }

install_go_tool() { # piece
	local package name
	package=$(pinned "$1" package)
	name=$(basename "$package")
	say "$1: building $name"
	(cd "$ROOT" && GOFLAGS= CGO_ENABLED=0 GOBIN="$CACHE/stage/$1/out/bin" \
		go install "$package@$(pinned "$1" version)") || fail "$1: go install failed, see above."
	publish "$1" "bin/$name"
}

# sbom FILE: the Go modules of the binaries, and the pinned downloads that they load, as one CycloneDX file.
sbom() {
	local modules="$CACHE/stage/modules.json"
	"$CACHE/bin/cyclonedx-gomod" mod -json -licenses -output "$modules" "$ROOT"
	mkdir -p "$(dirname "$1")"
	python3 "$SETUP/sbom.py" "$modules" "$SETUP/downloads.pins" "$1"
}
