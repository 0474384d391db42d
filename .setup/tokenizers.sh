# The tokenizer's static library, built from the source that its own Go module carries.

needs_tokenizers() {
	need_go
	need_cc
	need cargo "Rust with cargo: apt-get install cargo, or rustup from the Rust project's page"
}

install_tokenizers() {
	local build="$CACHE/build/tokenizers" version sum source
	version=$(pinned tokenizers version)
	source=$(cd "$ROOT" && go mod download -json "$(pinned tokenizers package)@$version") ||
		fail "tokenizers: the Go module could not be fetched: $source"
	sum=$(sed -n 's/^\t"Sum": "\(.*\)",\{0,1\}$/\1/p' <<<"$source")
	[ "$sum" = "$(pinned tokenizers file)" ] || fail "tokenizers: the module's sum is $sum, which is not the pinned one."
	source=$(sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p' <<<"$source")

	mkdir -p "$build"
	rm -rf "$build/source"
	cp -R "$source" "$build/source"
	chmod -R u+w "$build/source"
	say "tokenizers: building with cargo, about two minutes of processor time"
	build_watched "$build"
	mkdir -p "$CACHE/stage/tokenizers/out/lib"
	cp "$build/target/release/libtokenizers.a" "$CACHE/stage/tokenizers/out/lib/"
	publish tokenizers lib/libtokenizers.a
	rm -rf "$build"
}

# build_watched FOLDER: the target folder stays there until the piece is ready, so an interrupted build goes on.
build_watched() {
	local log="$CACHE/stage/tokenizers/log" started=$SECONDS shown=0
	(cd "$1/source" && CARGO_TARGET_DIR="$1/target" CARGO_TERM_COLOR=never cargo build --release --locked) >"$log" 2>&1 &
	local pid=$!
	trap 'kill $pid 2>/dev/null || true' EXIT
	while kill -0 $pid 2>/dev/null; do
		if [ $((SECONDS - started - shown)) -ge 10 ]; then
			shown=$((SECONDS - started))
			say "tokenizers: $(grep -c '^ *Compiling' "$log") of 107 crates begun, $shown s"
		fi
		sleep 0.2
	done
	trap - EXIT
	wait $pid || {
		tail -n 30 "$log" >&2
		fail "tokenizers: cargo failed, see above."
	}
}
