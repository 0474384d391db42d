//go:build cgo && linux

package store

/*
#include <malloc.h>

static void bound_malloc(void) {
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}
*/
import "C"

import "sync"

// boundMalloc keeps the memory that Pebble takes from C (blocks of the cache, memtables) near what is in use. glibc
// gives each thread an arena of its own, and the blocks that one thread allocates and another one frees stay scattered
// over all of them; it also raises the size from which memory goes back to the system at once with each larger piece
// that is freed, until memtables no longer do. One arena and a fixed size end both.
var boundMalloc = sync.OnceFunc(func() { C.bound_malloc() })
