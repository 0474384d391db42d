package profile

// Partition returns the event-log partition of a user, as Java's default partitioner does:
// murmur2(user) & 0x7fffffff mod n, for n > 0.
func Partition(user []byte, n int32) int32 {
	return int32(murmur2(user)&0x7fffffff) % n
}

// murmur2 is the 32-bit hash of org.apache.kafka.common.utils.Utils.
func murmur2(b []byte) uint32 {
	const (
		m = 0x5bd1e995
		r = 24
	)
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h *= m
		h ^= k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
