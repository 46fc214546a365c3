/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012) of exactly the 56
 * bytes in front of a header's tag. Straight-line code: it runs in XDP as well as in the daemons.
 */
#ifndef XBD_SIPHASH_H
#define XBD_SIPHASH_H

#include <linux/types.h>

struct xbd_key {
	__u64 k[2];
};

#define XBD_KEYS 4u /* key ids 0..3; 0 is the public all-zero key */

#define XBD_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define XBD_SIPROUND(v0, v1, v2, v3)                                                               \
	do {                                                                                       \
		v0 += v1;                                                                          \
		v1 = XBD_ROTL(v1, 13) ^ v0;                                                        \
		v0 = XBD_ROTL(v0, 32);                                                             \
		v2 += v3;                                                                          \
		v3 = XBD_ROTL(v3, 16) ^ v2;                                                        \
		v0 += v3;                                                                          \
		v3 = XBD_ROTL(v3, 21) ^ v0;                                                        \
		v2 += v1;                                                                          \
		v1 = XBD_ROTL(v1, 17) ^ v2;                                                        \
		v2 = XBD_ROTL(v2, 32);                                                             \
	} while (0)

/* Tag of the 56 bytes at `words` (7 little-endian words). */
static inline __attribute__((always_inline)) __u64 xbd_siphash56(const struct xbd_key *key,
								 const __u64 *words)
{
	__u64 v0 = 0x736f6d6570736575ull ^ key->k[0];
	__u64 v1 = 0x646f72616e646f6dull ^ key->k[1];
	__u64 v2 = 0x6c7967656e657261ull ^ key->k[0];
	__u64 v3 = 0x7465646279746573ull ^ key->k[1];
	__u64 last = 56ull << 56;

#define XBD_SIPWORD(m)                                                                             \
	do {                                                                                       \
		v3 ^= (m);                                                                         \
		XBD_SIPROUND(v0, v1, v2, v3);                                                      \
		XBD_SIPROUND(v0, v1, v2, v3);                                                      \
		v0 ^= (m);                                                                         \
	} while (0)
	XBD_SIPWORD(words[0]);
	XBD_SIPWORD(words[1]);
	XBD_SIPWORD(words[2]);
	XBD_SIPWORD(words[3]);
	XBD_SIPWORD(words[4]);
	XBD_SIPWORD(words[5]);
	XBD_SIPWORD(words[6]);
	XBD_SIPWORD(last);
#undef XBD_SIPWORD
	v2 ^= 0xff;
	XBD_SIPROUND(v0, v1, v2, v3);
	XBD_SIPROUND(v0, v1, v2, v3);
	XBD_SIPROUND(v0, v1, v2, v3);
	XBD_SIPROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

#endif
