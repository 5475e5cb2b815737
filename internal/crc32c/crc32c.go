// Package crc32c combines the checksums that Cloud Storage keeps of its objects.
package crc32c

import "hash/crc32"

// Combine is the CRC32C of a followed by b, where only their checksums and the length of b are known: as
// many zero bytes are appended to a as b has, by squaring the operator that appends one (as zlib does).
func Combine(a, b uint32, lengthOfB int64) uint32 {
	if lengthOfB <= 0 {
		return a
	}
	var even, odd [32]uint32
	odd[0] = crc32.Castagnoli // the operator for one zero bit
	for n, row := 1, uint32(1); n < 32; n, row = n+1, row<<1 {
		odd[n] = row
	}
	square(&even, &odd) // two bits
	square(&odd, &even) // four
	for {
		square(&even, &odd)
		if lengthOfB&1 != 0 {
			a = times(&even, a)
		}
		if lengthOfB >>= 1; lengthOfB == 0 {
			return a ^ b
		}
		even, odd = odd, even
	}
}

// times applies an operator over GF(2).
func times(m *[32]uint32, v uint32) (sum uint32) {
	for n := 0; v != 0; n, v = n+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[n]
		}
	}
	return sum
}

func square(out, m *[32]uint32) {
	for n := range out {
		out[n] = times(m, m[n])
	}
}
