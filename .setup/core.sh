# Pieces, stamps and locks. A piece is installed from a stage folder by renames, and its stamp is written last:
# an interruption at any point leaves either the old state or the new one.

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
	say "$*"
	exit 1
}

missing=0
asked=" "
need() { # tool, how to install it; a tool is named once
	[[ $asked != *" $1 "* ]] || return 0
	asked+="$1 "
	command -v "$1" >/dev/null 2>&1 && return
	say "'$1' is missing. Install $2."
	missing=1
}
need_go() { need go "Go 1.26 or newer, from your package manager or the Go project's download page"; }
need_cc() { need cc "a C compiler: apt-get install build-essential"; }
need_wheels() {
	need python3 "Python 3.9 or newer with pip: apt-get install python3 python3-pip"
	! command -v python3 >/dev/null || [[ $asked == *" pip "* ]] || python3 -m pip --version >/dev/null 2>&1 || {
		say "python3 has no pip. Install it: apt-get install python3-pip."
		asked+="pip "
		missing=1
	}
}
stop_if_missing() { [ $missing = 0 ] || fail "nothing was changed; run it again when the tools named above are there."; }

check_platform() {
	[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
		fail "this machine is $(uname -s) on $(uname -m); the pinned libraries are for Linux on x86_64."
	need flock "util-linux: apt-get install util-linux"
	need sha256sum "coreutils: apt-get install coreutils"
	stop_if_missing
}

# pins PIECE: the lines that decide whether an installed piece is still the wanted one.
pins() {
	awk -v piece="$1" '$1 == piece' "$SETUP/downloads.pins"
	awk -v piece="$1" '$1 == piece' "$SETUP/files.pins"
}

# stamped PIECE: the piece is installed, its pins are unchanged and its files have the sizes they had. A piece outside
# the cache says itself whether it is there.
stamped() {
	! declare -F "present_$1" >/dev/null || { "present_$1"; return; }
	local stamp="$CACHE/stamps/$1" line
	[ -f "$stamp" ] || return 1
	[ "$(sed -n '/^--$/q;p' "$stamp")" = "$(pins "$1")" ] || return 1
	while read -r line; do
		[ "$(stat -c '%s' "$CACHE/${line#* * }" 2>/dev/null)" = "${line%% *}" ] || return 1
	done < <(sed '1,/^--$/d' "$stamp")
}

# publish PIECE PATH...: checks the staged files, moves each path (a file or a folder below the cache) into place
# and writes the stamp.
publish() {
	local piece=$1 stage="$CACHE/stage/$1/out" path file
	shift
	awk -v piece="$piece" '$1 == piece {print $2 "  " $3}' "$SETUP/files.pins" >"$CACHE/stage/$piece/sums"
	if [ -s "$CACHE/stage/$piece/sums" ]; then
		(cd "$stage" && sha256sum --check --strict --quiet "$CACHE/stage/$piece/sums") >&2 ||
			fail "$piece: an unpacked file differs from .setup/files.pins."
	fi
	for path in "$@"; do
		mkdir -p "$(dirname "$CACHE/$path")"
		[ ! -d "$CACHE/$path" ] || mv "$CACHE/$path" "$CACHE/stage/$piece/old-$(basename "$path")"
		mv -T "$stage/$path" "$CACHE/$path"
	done
	{
		pins "$piece"
		echo --
		cd "$CACHE" && find "$@" -type f | LC_ALL=C sort | while read -r file; do
			printf '%s %s %s\n' "$(stat -c '%s' "$file")" "$(sha256sum "$file" | cut -d' ' -f1)" "$file"
		done
	} >"$CACHE/stage/$piece/stamp"
	mv "$CACHE/stage/$piece/stamp" "$CACHE/stamps/$piece"
}

# install_one PIECE: installs the piece unless its stamp holds; one process at a time, others wait for it.
install_one() {
	local piece=$1
	stamped "$piece" && return
	exec 9>"$CACHE/stage/$piece.lock"
	flock --nonblock 9 || {
		say "$piece: another set-up is at work on it, waiting"
		flock 9
	}
	if ! stamped "$piece"; then
		rm -rf "$CACHE/stage/$piece"
		mkdir -p "$CACHE/stage/$piece/out"
		"install_$piece" 9>&-
		rm -rf "$CACHE/stage/$piece"
		say "$piece: ready"
	fi
	exec 9>&-
}

# install_all PIECE...: the tokenizer's build keeps the processor busy, the rest the network: they run side by side.
# Each piece is a job of its own that is waited for, since `job || ...` would switch off errexit inside it.
install_all() {
	local piece failed=0 builder="" pending=()
	for piece in "$@"; do stamped "$piece" || pending+=("$piece"); done
	[ ${#pending[@]} -gt 0 ] || return 0
	for piece in "${pending[@]}"; do "needs_$piece"; done
	stop_if_missing
	say "installing into $CACHE: ${pending[*]}"
	trap 'trap - INT TERM; kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
	for piece in "${pending[@]}"; do
		[ "$piece" != tokenizers ] || {
			install_one "$piece" &
			builder=$!
		}
	done
	for piece in "${pending[@]}"; do
		[ "$piece" != tokenizers ] || continue
		install_one "$piece" &
		wait $! || {
			failed=1
			break
		}
	done
	if [ -n "$builder" ]; then
		[ $failed = 0 ] || kill "$builder" 2>/dev/null || true
		wait "$builder" || failed=1
	fi
	[ $failed = 0 ] || fail "not complete; run it again to go on from here."
}

# verify_installed: the long check, every byte of every installed file against its stamp.
verify_installed() {
	local stamp damaged=0
	for stamp in "$CACHE"/stamps/*; do
		[ -f "$stamp" ] || fail "nothing is installed in $CACHE"
		if (cd "$CACHE" && sed '1,/^--$/d' "$stamp" | awk '{print $2 "  " $3}' | sha256sum --check --strict --quiet); then
			say "$(basename "$stamp"): intact"
		else
			say "$(basename "$stamp"): DAMAGED; remove $stamp and run .setup/run again"
			damaged=1
		fi
	done
	return $damaged
}
