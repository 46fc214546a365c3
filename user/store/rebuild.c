/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_open, last part: what the tables say is checked, the free space is what they leave over,
 * shards that lost something are demoted, and a checkpoint makes it all durable.
 *
 * A store that lost metadata may have forgotten promises and acknowledged writes: it must not count
 * in any quorum as the store it was. It goes on under a new UUID, like a blank disk with useful
 * contents; that is durable before anything else is repaired.
 */
#include <string.h>

#include "store/internal.h"

static void check_dups(struct store *st);

static bool is_dup(const struct recover *r, uint32_t slot)
{
	for (uint32_t i = 0; i < r->ndup; i++)
		if (r->dup[i] == slot)
			return true;
	return false;
}

static void content_lost(struct store *st, struct shard *sh, uint32_t ext, struct fmt_entry *e)
{
	struct extent *x = &st->extents[ext];

	e->slot = FMT_SLOT_BAD;
	sh->damaged = true;
	x->dirty[0] = x->dirty[1] = ~0ull;
}

static void count_entry(struct store *st, struct shard *sh, uint32_t ext, struct fmt_entry *e)
{
	struct recover *r = st->rec;
	uint32_t slot = e->slot & ~FMT_SLOT_BAD;

	if (!slot_real(slot))
		return;
	if (slot > st->super->slots) {
		content_lost(st, sh, ext, e);
		return;
	}
	if (slots_take_one(st, slot) || is_dup(r, slot))
		return;
	if (r->ndup < sizeof(r->dup) / sizeof(r->dup[0]))
		r->dup[r->ndup++] = slot;
	else
		content_lost(st, sh, ext, e);
}

static void count_extent(struct store *st, struct shard *sh, uint32_t ext)
{
	struct extent *x = &st->extents[ext];

	for (uint32_t p = 0; p < FMT_EXT_PAGES; p++) {
		struct fmt_table *t = table_page(st, ext, p);

		for (uint32_t i = 0; i < FMT_ENTRIES; i++)
			count_entry(st, sh, ext, &t->entry[i]);
	}
	if (x->lost[0] | x->lost[1]) {
		st->rec->lost_pages += (uint32_t)__builtin_popcountll(x->lost[0]) +
				       (uint32_t)__builtin_popcountll(x->lost[1]);
		sh->damaged = true;
	}
}

static void count_shard(struct store *st, struct shard *sh)
{
	for (uint32_t i = 0; i < FMT_SHARD_EXTS; i++) {
		uint32_t ext = sh->page.ext[i];

		if (!ext)
			continue;
		if (st->extents[ext - 1].shard == sh->index + 1 &&
		    st->extents[ext - 1].index == i) {
			count_extent(st, sh, ext - 1);
			continue;
		}
		sh->page.ext[i] = 0; /* another shard holds it */
		sh->damaged = true;
	}
}

/* The first half of the UUID stays: it marks the pages of this store. */
static void new_identity(struct store *st)
{
	uint64_t h;

	memcpy(&h, st->super->uuid.b + 8, 8);
	h = (h ^ st->super->boot) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 29 ^ st->super->seed) * 0xbf58476d1ce4e5b9ull;
	h ^= h >> 32;
	memcpy(st->super->uuid.b + 8, &h, 8);
}

static void last_checkpoint(struct store *st, int err)
{
	if (err) {
		recover_finish(st, err);
		return;
	}
	journal_start(st, st->rec->last);
	checkpoint_start(st, recover_finish);
}

static void finish(struct store *st)
{
	struct recover *r = st->rec;
	bool dirty = r->last > st->super->ckpt_lsn;
	bool lost = r->lost_blocks || r->lost_pages || r->lost_shards;

	for (uint32_t i = 0; i < st->shard_end; i++) {
		struct shard *sh = &st->shards[i];

		lost |= sh->damaged;
		if (sh->known && (sh->damaged || r->lost_blocks))
			shard_demote(st, sh);
		sh->damaged = false;
		dirty |= sh->dirty;
	}
	for (uint32_t i = st->super->extents; i-- > 0;) {
		struct extent *x = &st->extents[i];

		if (x->shard) {
			table_recount(st, i);
			dirty |= (x->dirty[0] | x->dirty[1]) != 0;
			continue;
		}
		x->next = st->ext_free;
		st->ext_free = i + 1;
	}
	st->ext_nfree = 0;
	for (uint32_t e = st->ext_free; e; e = st->extents[e - 1].next)
		st->ext_nfree++;
	if (r->lost_blocks || r->lost_pages || r->lost_shards)
		st_why(st, "damage found: %u journal blocks, %u table pages, %u shards lost",
		       r->lost_blocks, r->lost_pages, r->lost_shards);
	if (lost) {
		new_identity(st);
		super_write(st, last_checkpoint);
	} else if (dirty) {
		last_checkpoint(st, 0);
	} else {
		journal_start(st, r->last);
		recover_finish(st, 0);
	}
}

/* --- slots that two entries name: only one of them can verify --- */

static struct fmt_entry *dup_entry(struct store *st, struct shard **sh, uint32_t *block)
{
	struct recover *r = st->rec;
	const struct extent *x = &st->extents[r->ext];

	*sh = &st->shards[x->shard - 1];
	*block = x->index * FMT_EXT_BLOCKS + r->entry;
	return &table_page(st, r->ext, r->entry / FMT_ENTRIES)->entry[r->entry % FMT_ENTRIES];
}

static void dup_read(struct store *st)
{
	struct shard *sh;
	uint32_t block;
	struct fmt_entry *e = dup_entry(st, &sh, &block);

	if (st->serial.unread || crc32c_block(sh->page.shard, block, e->ver, st->verify) != e->crc)
		content_lost(st, sh, st->rec->ext, e);
	st->rec->entry++;
	check_dups(st);
}

static void check_dups(struct store *st)
{
	struct recover *r = st->rec;

	for (; r->ndup && r->ext < st->super->extents; r->ext++, r->entry = 0) {
		for (; st->extents[r->ext].shard && r->entry < FMT_EXT_BLOCKS; r->entry++) {
			struct shard *sh;
			uint32_t block;
			const struct fmt_entry *e = dup_entry(st, &sh, &block);

			if (!slot_real(e->slot) || !is_dup(r, e->slot & ~FMT_SLOT_BAD))
				continue;
			recover_read(st, slot_offset(st, e->slot & ~FMT_SLOT_BAD), FMT_PAGE,
				     st->verify, dup_read);
			return;
		}
	}
	finish(st);
}

void recover_rebuild(struct store *st)
{
	struct recover *r = st->rec;

	/* damage here and there is lived with; a disk that cannot be read is not written to */
	if (st->serial.errors > READ_ERRORS_MAX) {
		recover_finish(st, -EIO);
		return;
	}
	slots_all_free(st);
	for (uint32_t i = 0; i < st->shard_end; i++)
		if (st->shards[i].known)
			count_shard(st, &st->shards[i]);
	r->ext = r->entry = 0;
	check_dups(st);
}
