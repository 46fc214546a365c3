/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block tables: extents of 128 pages, given to shards as they are needed and held in memory
 * whole. Per region of 64 blocks the highest version is kept, so that STORE_REGIONS reads no entry.
 *
 * Memory: 516 KiB per extent (126 MiB of blocks) that a shard holds: 4.1 GiB per TiB written, and
 * 32 MiB per TiB of disk for the bitmap of slots. Address space is reserved for all extents of the
 * disk when it is opened (5.2 GiB per TiB); what no shard uses is never touched. A later version
 * may keep only pages in use: table_page and table_entry are the only ways to a page.
 */
#include <string.h>

#include "store/internal.h"

#define EXT_NONE UINT32_MAX

int table_alloc(struct store *st)
{
	uint64_t n = st->super->extents;

	st->extents = st_alloc(st, n * sizeof(struct extent));
	st->tables = st_alloc(st, n * FMT_EXT_PAGES * FMT_PAGE);
	st->region_max = st_alloc(st, n * FMT_EXT_REGIONS * sizeof(uint64_t));
	if (!st->extents || !st->tables || !st->region_max)
		return -ENOMEM;
	st->ext_nfree = (uint32_t)n;
	return 0;
}

struct fmt_table *table_page(const struct store *st, uint32_t ext, uint32_t page)
{
	XBD_ASSERT(ext < st->super->extents && page < FMT_EXT_PAGES);
	return &st->tables[(uint64_t)ext * FMT_EXT_PAGES + page];
}

/* NULL = no table there: never written. */
struct fmt_entry *table_entry(const struct store *st, const struct shard *sh, uint32_t block)
{
	uint32_t ext, in;

	XBD_ASSERT(block < XBD_SHARD_BLOCKS_MAX);
	ext = sh->page.ext[block / FMT_EXT_BLOCKS];
	if (!ext)
		return NULL;
	in = block % FMT_EXT_BLOCKS;
	return &table_page(st, ext - 1, in / FMT_ENTRIES)->entry[in % FMT_ENTRIES];
}

static struct fmt_entry *entry_in(const struct store *st, uint32_t ext, uint32_t in)
{
	return &table_page(st, ext, in / FMT_ENTRIES)->entry[in % FMT_ENTRIES];
}

static void region_recount(struct store *st, uint32_t ext, uint32_t region)
{
	uint64_t max = 0;
	bool bad = false;

	for (uint32_t i = 0; i < XBD_REGION_BLOCKS; i++) {
		const struct fmt_entry *e = entry_in(st, ext, region * XBD_REGION_BLOCKS + i);

		if (e->ver > max)
			max = e->ver;
		bad |= (e->slot & FMT_SLOT_BAD) != 0;
	}
	st->region_max[(uint64_t)ext * FMT_EXT_REGIONS + region] = max;
	if (bad)
		st->extents[ext].bad[region / 64] |= 1ull << (region % 64);
	else
		st->extents[ext].bad[region / 64] &= ~(1ull << (region % 64));
}

void table_recount(struct store *st, uint32_t ext)
{
	for (uint32_t r = 0; r < FMT_EXT_REGIONS; r++)
		region_recount(st, ext, r);
}

/* Replaces an entry that exists; the caller frees the slot it held. */
void table_set(struct store *st, struct shard *sh, uint32_t block, const struct fmt_entry *e)
{
	uint32_t ext = sh->page.ext[block / FMT_EXT_BLOCKS] - 1, in = block % FMT_EXT_BLOCKS;
	uint32_t region = in / XBD_REGION_BLOCKS, page = in / FMT_ENTRIES;
	struct extent *x = &st->extents[ext];
	uint64_t *max = &st->region_max[(uint64_t)ext * FMT_EXT_REGIONS + region];
	struct fmt_entry *old = entry_in(st, ext, in), was = *old;

	XBD_ASSERT(x->shard == sh->index + 1 && x->index == block / FMT_EXT_BLOCKS);
	*old = *e;
	x->dirty[page / 64] |= 1ull << (page % 64);
	if ((was.slot | e->slot) & FMT_SLOT_BAD || (e->ver < was.ver && was.ver == *max))
		region_recount(st, ext, region);
	else if (e->ver > *max)
		*max = e->ver;
}

void table_mark_bad(struct store *st, struct shard *sh, uint32_t block)
{
	struct fmt_entry e = *table_entry(st, sh, block);

	e.slot |= FMT_SLOT_BAD;
	table_set(st, sh, block, &e);
}

/* XBD_F_* of an entry. A trimmed block has TRIM and ZERO, a block never written ZERO. */
uint32_t table_flags(const struct fmt_entry *e)
{
	if (!e)
		return XBD_F_ZERO;
	if (e->slot & FMT_SLOT_BAD)
		return XBD_F_BAD;
	if (e->slot == FMT_SLOT_TRIM)
		return XBD_F_ZERO | XBD_F_TRIM;
	return e->slot == FMT_SLOT_NONE ? XBD_F_ZERO : 0;
}

/* How many extents the range lacks. */
uint32_t table_missing(const struct shard *sh, uint32_t block, uint32_t count)
{
	uint32_t n = 0, last = (block + count - 1) / FMT_EXT_BLOCKS;

	for (uint32_t i = block / FMT_EXT_BLOCKS; i <= last; i++)
		n += !sh->page.ext[i];
	return n;
}

/* Make `ext` the shard's extent number `index`, all empty. */
void extent_assign(struct store *st, uint32_t ext, struct shard *sh, uint32_t index)
{
	struct extent *x = &st->extents[ext];

	XBD_ASSERT(ext < st->super->extents && index < FMT_SHARD_EXTS);
	memset(x, 0, sizeof(*x));
	x->shard = sh->index + 1;
	x->index = index;
	memset(table_page(st, ext, 0), 0, (size_t)FMT_EXT_PAGES * FMT_PAGE);
	memset(&st->region_max[(uint64_t)ext * FMT_EXT_REGIONS], 0,
	       FMT_EXT_REGIONS * sizeof(uint64_t));
	sh->page.ext[index] = ext + 1;
}

/* Takes a free extent; there must be one. Its EXTENT record is the caller's to log. */
uint32_t extent_take(struct store *st, struct shard *sh, uint32_t index)
{
	uint32_t ext = st->ext_free - 1;

	XBD_ASSERT(st->ext_nfree && st->ext_free && !sh->page.ext[index]);
	XBD_ASSERT(!st->extents[ext].shard);
	st->ext_free = st->extents[ext].next;
	st->ext_nfree--;
	extent_assign(st, ext, sh, index);
	return ext;
}

/* The EXTENT record is durable: the next checkpoint writes all pages and the shard page. */
void extent_live(struct store *st, uint32_t ext)
{
	struct extent *x = &st->extents[ext];

	XBD_ASSERT(x->shard && !x->live);
	x->live = true;
	x->dirty[0] = x->dirty[1] = ~0ull;
	st->shards[x->shard - 1].dirty = true;
}

/* Takes all extents from a shard; their slots are freed by extents_sweep. */
void extents_kill(struct store *st, struct shard *sh)
{
	for (uint32_t i = 0; i < FMT_SHARD_EXTS; i++) {
		uint32_t ext = sh->page.ext[i];
		struct extent *x;

		if (!ext)
			continue;
		x = &st->extents[ext - 1];
		XBD_ASSERT(x->shard == sh->index + 1);
		sh->page.ext[i] = 0;
		memset(x, 0, sizeof(*x));
		x->next = st->ext_dead;
		st->ext_dead = ext;
	}
}

static void sweep_page(struct store *st, uint32_t ext, uint32_t page)
{
	struct fmt_table *t = table_page(st, ext, page);

	for (uint32_t i = 0; i < FMT_ENTRIES; i++) {
		uint32_t slot = t->entry[i].slot & ~FMT_SLOT_BAD;

		if (!slot_real(slot))
			continue;
		slots_give(st, slot, 1);
		slots_trimmed(st, slot);
	}
}

/* Frees the slots of up to `pages` pages of dropped shards, and the extents that are done. */
void extents_sweep(struct store *st, uint32_t pages)
{
	while (st->ext_dead && pages--) {
		uint32_t ext = st->ext_dead - 1;
		struct extent *x = &st->extents[ext];

		sweep_page(st, ext, x->swept);
		if (++x->swept < FMT_EXT_PAGES)
			continue;
		st->ext_dead = x->next;
		memset(x, 0, sizeof(*x));
		x->next = st->ext_free;
		st->ext_free = ext + 1;
		st->ext_nfree++;
	}
}
