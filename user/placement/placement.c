/* SPDX-License-Identifier: BSD-2-Clause */
#include "placement/placement.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

#define FRACTION_BITS 32

int place_shards(uint64_t size, uint32_t shard_blocks, uint32_t *nshards)
{
	uint64_t n;

	if (!size || size % XBD_BLOCK_SIZE)
		return -EINVAL;
	if (!shard_blocks || shard_blocks > XBD_SHARD_BLOCKS_MAX || shard_blocks % XBD_RANGE_BLOCKS)
		return -EINVAL;
	n = (size / XBD_BLOCK_SIZE + shard_blocks - 1) / shard_blocks;
	if (n > XBD_SHARDS_MAX)
		return -E2BIG;
	*nshards = (uint32_t)n;
	return 0;
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t mix_uuid(uint64_t h, const struct xbd_uuid *u)
{
	uint64_t half[2];

	memcpy(half, u->b, sizeof(half));
	return mix(mix(h ^ half[0]) ^ half[1]);
}

/*
 * -log2(x / 2^64) with FRACTION_BITS binary digits; x > 0. Integers only, so that no C library's
 * logarithm can make two machines disagree: the digits come from squaring the mantissa.
 */
static uint64_t minus_log2(uint64_t x)
{
	unsigned lead = (unsigned)__builtin_clzll(x);
	uint64_t m = x << lead, digits = 0; /* m / 2^63 is in [1, 2) */

	for (int i = 0; i < FRACTION_BITS; i++) {
		unsigned __int128 sq = (unsigned __int128)m * m; /* scale 2^126 */
		bool two = sq >> 127;

		digits = digits << 1 | two;
		m = (uint64_t)(sq >> (two ? 64 : 63));
	}
	return ((uint64_t)(lead + 1) << FRACTION_BITS) - digits;
}

/* An exponential variable with rate `weight`: the lowest wins. Compared as fractions. */
struct score {
	uint64_t log, weight;
};

static bool better(struct score a, struct score b)
{
	return (unsigned __int128)a.log * b.weight < (unsigned __int128)b.log * a.weight;
}

static struct score score_of(const struct place_node *n, const struct xbd_uuid *volume,
			     uint32_t index)
{
	uint64_t h = mix_uuid(mix_uuid(mix(index), volume), &n->store);

	return (struct score){minus_log2(h ? h : 1), n->weight};
}

int place_replicas(const struct place_node *nodes, size_t count, const struct xbd_uuid *volume,
		   uint32_t index, uint32_t replicas, uint32_t *chosen)
{
	struct score best[XBD_REPLICAS_MAX];
	uint32_t pick[XBD_REPLICAS_MAX], n = 0;

	if (!replicas || replicas > XBD_REPLICAS_MAX || count > PLACE_NODES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		struct score s;
		uint32_t at;

		if (!nodes[i].weight)
			continue;
		s = score_of(&nodes[i], volume, index);
		for (at = n; at > 0 && better(s, best[at - 1]); at--)
			;
		if (at == replicas)
			continue;
		n += n < replicas;
		for (uint32_t k = n - 1; k > at; k--) {
			best[k] = best[k - 1];
			pick[k] = pick[k - 1];
		}
		best[at] = s;
		pick[at] = i;
	}
	XBD_ASSERT(n <= replicas);
	if (n < replicas)
		return -ENOSPC;
	memcpy(chosen, pick, replicas * sizeof(*chosen));
	return 0;
}
