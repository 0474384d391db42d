# The ClickHouse engine as a shared library, from its npm package. No script of the package runs.

needs_chdb() {
	need npm "Node.js 18 or newer with npm: apt-get install nodejs npm"
	need tar "tar: apt-get install tar gzip"
}

install_chdb() {
	fetch chdb
	say "chdb: unpacking 566 MB"
	mkdir -p "$CACHE/stage/chdb/out/lib"
	tar -xzf "$CACHE/downloads/$(pinned chdb file)" -C "$CACHE/stage/chdb/out/lib" --strip-components=1 package/libchdb.so
	publish chdb lib/libchdb.so
	forget chdb
}
