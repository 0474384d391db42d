//go:build !cgo || !linux

package store

// boundMalloc does nothing: Pebble's memory is Go's, or the allocator is not glibc's.
func boundMalloc() {}
