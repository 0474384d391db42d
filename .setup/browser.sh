# A Chromium for the tests of the console and for its pictures: $CHROMIUM, one of the system's, or the distribution's
# package. It lies outside the cache, so it has no stamp.

needs_browser() { :; }

# browser prints the command of a Chromium, if there is one.
browser() {
	local name
	for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
		command -v "$name" && return
	done
	return 1
}

present_browser() { browser >/dev/null; }

install_browser() {
	local root="" say_how="No Chromium is here. Install one (Debian: apt-get install chromium) or set CHROMIUM to its path."
	[ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && root="sudo -n"; } || fail "browser: $say_how"
	command -v apt-get >/dev/null || fail "browser: $say_how"
	say "browser: installing the package chromium"
	{
		$root apt-get update && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
	} >"$CACHE/stage/browser/log" 2>&1 || {
		tail -5 "$CACHE/stage/browser/log" >&2
		fail "browser: apt-get failed. $say_how"
	}
	browser >/dev/null || fail "browser: apt-get has put no Chromium into PATH. $say_how"
}
