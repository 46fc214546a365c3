/* SPDX-License-Identifier: BSD-2-Clause */
/* Lag maps: per store, which regions may differ from the current content; and known bad blocks. */
#include "coordinator/internal.h"

bool co_lag_test(const struct rep *rep, uint32_t region)
{
	return rep->lag[region / 64] >> (region % 64) & 1;
}

void co_lag_mark(struct cshard *sh, uint8_t slot, uint32_t block, uint32_t count)
{
	struct rep *rep = &sh->rep[slot];
	uint32_t last = (block + count - 1) / XBD_REGION_BLOCKS;

	XBD_ASSERT(slot < XBD_REPLICAS_MAX && last < sh->nregions);
	for (uint32_t r = block / XBD_REGION_BLOCKS; r <= last; r++) {
		if (!co_lag_test(rep, r)) {
			rep->lag[r / 64] |= 1ull << (r % 64);
			rep->nlag++;
		}
		for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++)
			if (sh->jobs[k].used && sh->jobs[k].region == r)
				sh->jobs[k].again = true;
	}
	sh->jobs_at = sh->co->now;
}

static struct bad_block *bad_find(const struct cshard *sh, uint8_t slot, uint32_t block)
{
	struct co *co = sh->co;

	for (unsigned k = 0; co->nbad && k < BAD_MAX; k++) {
		struct bad_block *b = &co->bad[k];

		if (b->used && b->shard == sh->index && b->slot == slot && b->block == block)
			return b;
	}
	return NULL;
}

bool co_bad_test(const struct cshard *sh, uint8_t slot, uint32_t block, uint64_t ver)
{
	const struct bad_block *b = bad_find(sh, slot, block);

	return b && (!ver || b->ver == ver);
}

/* Forgotten when the table is full: the next read of the block finds it again. */
void co_bad_add(struct cshard *sh, uint8_t slot, uint32_t block, uint64_t ver)
{
	struct co *co = sh->co;
	struct bad_block *b = bad_find(sh, slot, block);

	if (b) {
		b->ver = ver;
		return;
	}
	for (unsigned k = 0; k < BAD_MAX; k++) {
		if (co->bad[k].used)
			continue;
		co->bad[k] = (struct bad_block){ver, sh->index, block, slot, true};
		co->nbad++;
		sh->jobs_at = co->now;
		return;
	}
}

void co_bad_clear(struct cshard *sh, uint8_t slot, uint32_t block)
{
	struct bad_block *b = bad_find(sh, slot, block);

	if (!b)
		return;
	b->used = false;
	sh->co->nbad--;
}

uint32_t co_bad_next(const struct cshard *sh, uint8_t *slot, uint32_t *cursor)
{
	struct co *co = sh->co;

	for (; co->nbad && *cursor < BAD_MAX; ++*cursor) {
		const struct bad_block *b = &co->bad[*cursor];

		if (!b->used || b->shard != sh->index)
			continue;
		*slot = b->slot;
		++*cursor;
		return b->block;
	}
	return UINT32_MAX;
}
