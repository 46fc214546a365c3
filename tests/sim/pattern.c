/* SPDX-License-Identifier: BSD-2-Clause */
#include "pattern.h"

#include <string.h>

#include "base/assert.h"

#define ODD	0x9e3779b97f4a7c15ull
#define INVERSE 0xf1de83e19937733dull /* ODD * INVERSE == 1 mod 2^64 */
#define WORDS	(PATTERN_BLOCK / 8)

_Static_assert((uint64_t)(ODD *INVERSE) == 1, "inverse");

static uint64_t word(uint64_t id, uint32_t j)
{
	return (id << 16 | j) * ODD;
}

static void image(uint64_t *to, uint64_t id)
{
	uint64_t w = word(id, 0);

	for (uint32_t j = 0; j < WORDS; j++, w += ODD)
		to[j] = w;
}

void pattern_fill(uint8_t *block, uint64_t id, uint32_t from, uint32_t to)
{
	uint64_t img[WORDS];

	XBD_ASSERT(id && to <= PATTERN_BLOCK && from < to);
	image(img, id);
	memcpy(block + from, (const uint8_t *)img + from, to - from);
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	return !p[0] && memcmp(p, p + 1, len - 1) == 0;
}

bool pattern_find(const uint8_t *block, uint32_t from, uint32_t to, uint64_t *id)
{
	uint32_t j = (from + 7) / 8;
	uint64_t w, img[WORDS];

	XBD_ASSERT(to <= PATTERN_BLOCK && to - from >= PATTERN_CELL_MIN);
	if (all_zero(block + from, to - from)) {
		*id = 0;
		return true;
	}
	memcpy(&w, block + j * 8, 8);
	w *= INVERSE;
	if ((w & 0xffff) != j || w >> 16 == 0)
		return false;
	image(img, w >> 16);
	*id = w >> 16;
	return memcmp(block + from, (const uint8_t *)img + from, to - from) == 0;
}
