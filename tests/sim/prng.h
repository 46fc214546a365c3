/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulator's only source of chance: one 64-bit state per stream, the same on every machine. */
#ifndef SIM_PRNG_H
#define SIM_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
	uint64_t s;
};

static inline uint64_t prng_next(struct prng *p)
{
	uint64_t z = p->s += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline struct prng prng_make(uint64_t seed, uint64_t stream)
{
	struct prng p = {seed * 0xd1342543de82ef95ull + stream * 0x2545f4914f6cdd1dull + 1};

	prng_next(&p);
	return p;
}

/* 0 .. n - 1; 0 if n is 0. */
static inline uint32_t prng_below(struct prng *p, uint32_t n)
{
	return (uint32_t)((prng_next(p) >> 32) * n >> 32);
}

/* lo .. hi, both included. */
static inline uint32_t prng_range(struct prng *p, uint32_t lo, uint32_t hi)
{
	return lo + prng_below(p, hi - lo + 1);
}

/* True in `n` of 1000 cases. */
static inline bool prng_permille(struct prng *p, uint32_t n)
{
	return prng_below(p, 1000) < n;
}

static inline bool prng_percent(struct prng *p, uint32_t n)
{
	return prng_below(p, 100) < n;
}

/* About exponential with the given mean: sums of halvings, no floating point. */
static inline uint64_t prng_exp(struct prng *p, uint64_t mean)
{
	uint64_t r = prng_next(p);
	uint32_t halvings = (uint32_t)__builtin_ctzll(r | 1ull << 20);
	uint64_t part = (r >> 32 & 0xffff) * mean >> 16;

	return (halvings * mean * 45 >> 6) + (part * 45 >> 6);
}

#endif
