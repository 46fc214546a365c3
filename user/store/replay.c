/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_open, second part: the journal. The whole ring is read once to find its end and what is
 * known to be durable, then its blocks are applied in order. Records that are not known to be
 * durable count only if their data verifies.
 */
#include <string.h>

#include "store/internal.h"

static void scan(struct store *st);
static void replay_chunk(struct store *st);
static void replay(struct store *st);

static bool block_ok(const struct store *st, const struct fmt_journal *b, uint64_t pos)
{
	uint64_t ckpt = st->super->ckpt_lsn, ring = st->super->journal_blocks;

	return page_ok(st->super, b, FMT_JOURNAL_MAGIC) && b->lsn % ring == pos && b->lsn > ckpt &&
	       b->lsn <= ckpt + ring && b->durable < b->lsn && b->used <= FMT_JOURNAL_BODY;
}

static const struct fmt_journal *block_in(const struct store *st, uint64_t i)
{
	return (const struct fmt_journal *)(st->scratch[0] + i * FMT_PAGE);
}

/* --- pass 1 --- */

static void scanned(struct store *st)
{
	struct recover *r = st->rec;

	for (uint64_t i = 0; i < r->n; i++) {
		const struct fmt_journal *b = block_in(st, i);

		if (!block_ok(st, b, r->pos + i))
			continue;
		if (b->lsn > r->last)
			r->last = b->lsn;
		if (b->durable > r->durable)
			r->durable = b->durable;
	}
	r->pos += r->n;
	scan(st);
}

static void scan(struct store *st)
{
	struct recover *r = st->rec;
	uint64_t left = st->super->journal_blocks - r->pos;

	if (!left) {
		r->n = 0;
		r->lsn = st->super->ckpt_lsn + 1;
		replay_chunk(st);
		return;
	}
	r->n = left < SCRATCH / FMT_PAGE ? left : SCRATCH / FMT_PAGE;
	recover_read(st, st->super->journal_at + r->pos * FMT_PAGE, r->n * FMT_PAGE, st->scratch[0],
		     scanned);
}

void replay_start(struct store *st)
{
	struct recover *r = st->rec;

	r->last = r->durable = st->super->ckpt_lsn;
	r->pos = 0;
	scan(st);
}

/* --- records --- */

/* A record that cannot be right, or has lost what it refers to. */
static void orphan(struct store *st, struct shard *sh)
{
	if (sh)
		sh->damaged = true;
	else
		st->rec->lost_blocks++;
}

static void apply_block(struct store *st, struct shard *sh, const struct fmt_record *rec,
			uint32_t i, uint64_t lsn)
{
	uint32_t block = rec->block + i, ext = sh->page.ext[block / FMT_EXT_BLOCKS];
	struct fmt_entry *old = table_entry(st, sh, block), e = {.ver = rec->ver};
	const struct extent *x;

	if (!old) {
		orphan(st, sh);
		return;
	}
	x = &st->extents[ext - 1];
	/* another shard took the extent later: a DROP of this one follows */
	if (x->shard != sh->index + 1 || x->index != block / FMT_EXT_BLOCKS)
		return;
	if (table_page(st, ext - 1, block % FMT_EXT_BLOCKS / FMT_ENTRIES)->lsn >= lsn)
		return;
	if (rec->type != REC_REPAIR && rec->ver <= old->ver)
		return;
	if (rec->slot) {
		e.slot = rec->slot + i;
		e.crc = i < 2 ? rec->crc[i] : rec->more[i - 2];
	} else if (rec->flags & STORE_F_TRIM && rec->ver) {
		e.slot = FMT_SLOT_TRIM;
	}
	table_set(st, sh, block, &e);
}

static bool blocks_sane(const struct store *st, const struct fmt_record *rec)
{
	if (!rec->count || rec->block >= XBD_SHARD_BLOCKS_MAX ||
	    rec->count > XBD_SHARD_BLOCKS_MAX - rec->block)
		return false;
	if (!rec->slot)
		return rec->type != REC_WRITE && rec->len == sizeof(*rec);
	return rec->type != REC_ZERO && rec->count <= XBD_OP_BLOCKS &&
	       rec->len == journal_write_len(rec->count) && rec->slot <= st->super->slots &&
	       rec->count - 1u <= st->super->slots - rec->slot;
}

/* The data of `rec` is in st->verify: apply the blocks that verify. */
static void verified(struct store *st)
{
	struct recover *r = st->rec;
	const struct fmt_journal *b = block_in(st, r->lsn % st->super->journal_blocks - r->pos);
	const struct fmt_record *rec = (const struct fmt_record *)((const uint8_t *)b + r->off);
	struct shard *sh = shard_find(st, rec->shard);

	for (uint32_t i = 0; i < rec->count; i++) {
		uint32_t crc = i < 2 ? rec->crc[i] : rec->more[i - 2];
		bool unread = st->serial.unread >> i & 1; /* may have been acknowledged: damaged */

		if (unread || crc32c_block(rec->shard, rec->block + i, rec->ver,
					   st->verify + (size_t)i * FMT_PAGE) == crc)
			apply_block(st, sh, rec, i, r->lsn);
		else
			r->dropped++;
	}
	r->off += rec->len;
	r->i++;
	replay(st);
}

/* True = goes on in verified(). */
static bool replay_blocks(struct store *st, const struct fmt_record *rec)
{
	struct recover *r = st->rec;
	struct shard *sh = shard_find(st, rec->shard);

	if (!sh || !blocks_sane(st, rec)) {
		orphan(st, sh);
		return false;
	}
	if (r->lsn <= sh->page.gen)
		return false;
	if (rec->slot && r->lsn > r->durable) {
		recover_read(st, slot_offset(st, rec->slot), (uint64_t)rec->count * FMT_PAGE,
			     st->verify, verified);
		return true;
	}
	for (uint32_t i = 0; i < rec->count; i++)
		apply_block(st, sh, rec, i, r->lsn);
	return false;
}

static void replay_extent(struct store *st, const struct fmt_record *rec)
{
	struct shard *sh = shard_find(st, rec->shard);
	uint32_t old;

	if (!sh || rec->block >= FMT_SHARD_EXTS || rec->slot >= st->super->extents) {
		orphan(st, sh);
		return;
	}
	if (st->rec->lsn <= sh->page.gen)
		return;
	old = sh->page.ext[rec->block];
	if (old && old != rec->slot + 1) {
		orphan(st, sh);
		if (st->extents[old - 1].shard == sh->index + 1)
			memset(&st->extents[old - 1], 0, sizeof(struct extent));
	}
	extent_assign(st, rec->slot, sh, rec->block);
	extent_live(st, rec->slot);
}

/* The extents of a dropped shard become free, unless another shard has taken them already. */
static void forget_extents(struct store *st, struct shard *sh)
{
	for (uint32_t i = 0; i < FMT_SHARD_EXTS; i++) {
		uint32_t ext = sh->page.ext[i];

		if (ext && st->extents[ext - 1].shard == sh->index + 1)
			memset(&st->extents[ext - 1], 0, sizeof(struct extent));
		sh->page.ext[i] = 0;
	}
}

static void replay_state(struct store *st, const struct fmt_record *rec)
{
	struct recover *r = st->rec;
	struct shard *sh = shard_find(st, rec->shard);
	struct xbd_state state;

	if (rec->len != sizeof(*rec) + sizeof(state) || rec->slot >= st->super->shards_max ||
	    (!sh && st->shards[rec->slot].known)) {
		orphan(st, sh);
		return;
	}
	if (!sh) {
		shard_place(st, rec->shard, rec->slot);
		sh = &st->shards[rec->slot];
		sh->page.gen = r->lsn;
	} else if (r->lsn <= sh->page.lsn) {
		return;
	}
	memcpy(&state, rec->more, sizeof(state));
	if (rec->type == REC_DROP) {
		forget_extents(st, sh);
		sh->page.gen = r->lsn;
	}
	shard_set_state(st, sh, &state);
}

static bool replay_record(struct store *st, const struct fmt_record *rec)
{
	switch (rec->type) {
	case REC_WRITE:
	case REC_ZERO:
	case REC_REPAIR:
		return replay_blocks(st, rec);
	case REC_EXTENT:
		replay_extent(st, rec);
		return false;
	case REC_STATE:
	case REC_DROP:
		replay_state(st, rec);
		return false;
	}
	st->rec->lost_blocks++;
	return false;
}

/* --- pass 2 --- */

/* Is this block to be applied? Damage below `durable` is skipped, above it is the end. */
static bool enter_block(struct store *st, const struct fmt_journal *b, uint64_t pos, bool *end)
{
	struct recover *r = st->rec;
	bool ok = block_ok(st, b, pos) && b->lsn == r->lsn;

	if (ok && r->chained && b->chain != r->chain && b->chain)
		ok = false;
	if (ok) {
		r->chain = (uint64_t)b->crc << 32 | (uint32_t)b->lsn;
		r->chained = true;
		return true;
	}
	*end = r->lsn > r->durable;
	if (!*end)
		r->lost_blocks++;
	r->chained = false;
	return false;
}

static void replay(struct store *st)
{
	struct recover *r = st->rec;
	uint64_t ring = st->super->journal_blocks;

	while (r->lsn <= r->last && r->lsn % ring >= r->pos && r->lsn % ring < r->pos + r->n) {
		const struct fmt_journal *b = block_in(st, r->lsn % ring - r->pos);
		bool end = false;

		if (!r->off) {
			if (enter_block(st, b, r->lsn % ring, &end)) {
				r->off = FMT_PAGE - FMT_JOURNAL_BODY;
				r->i = 0;
			} else if (end) {
				r->lsn = r->last;
			}
		}
		while (r->off && r->i < b->records) {
			const struct fmt_record *rec =
				(const struct fmt_record *)((const uint8_t *)b + r->off);

			if (r->off + sizeof(*rec) > FMT_PAGE || rec->len < sizeof(*rec) ||
			    r->off + rec->len > FMT_PAGE) {
				r->lost_blocks++;
				break;
			}
			if (replay_record(st, rec))
				return;
			r->off += rec->len;
			r->i++;
		}
		r->off = 0;
		r->lsn++;
	}
	replay_chunk(st);
}

static void replay_chunk(struct store *st)
{
	struct recover *r = st->rec;
	uint64_t ring = st->super->journal_blocks, left;

	if (r->lsn > r->last) {
		recover_rebuild(st);
		return;
	}
	r->pos = r->lsn % ring;
	left = r->last - r->lsn + 1;
	r->n = ring - r->pos < left ? ring - r->pos : left;
	if (r->n > SCRATCH / FMT_PAGE)
		r->n = SCRATCH / FMT_PAGE;
	recover_read(st, st->super->journal_at + r->pos * FMT_PAGE, r->n * FMT_PAGE, st->scratch[0],
		     replay);
}
