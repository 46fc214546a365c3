/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * READ: neighbours in neighbouring slots are read together, every block is verified against the
 * table. Slots are not locked: a block whose slot was reused meanwhile fails its checksum, is found
 * to have moved, and is read again from where it is now. A block that fails and has not moved is
 * damaged.
 */
#include <string.h>

#include "store/internal.h"

#define TRIES_MAX 64u

static void read_done(struct disk_op *d);

/* Describe block `i` as it is now. Returns its slot, 0 = nothing to read. */
static uint32_t look_up(struct store *st, const struct shard *sh, struct store_op *op, uint32_t i)
{
	const struct fmt_entry *e = table_entry(st, sh, op->block + i);
	struct store_block *b = &op->blocks[i];

	*b = (struct store_block){.flags = XBD_F_ZERO};
	if (e)
		*b = (struct store_block){e->ver, e->crc, table_flags(e)};
	if (e && slot_real(e->slot)) {
		b->flags = 0; /* even if it was found damaged once: this read decides */
		return e->slot & ~FMT_SLOT_BAD;
	}
	memset(op->buf + (size_t)i * FMT_PAGE, 0, FMT_PAGE);
	return 0;
}

static void submit(struct store *st, struct run *r, uint32_t first, uint32_t slot, uint32_t count)
{
	r->d = (struct disk_op){
		.kind = DISK_READ,
		.offset = slot_offset(st, slot),
		.len = (uint64_t)count * FMT_PAGE,
		.buf = r->t->op->buf + (size_t)(r->at + first) * FMT_PAGE,
		.done = read_done,
		.owner = st,
	};
	r->t->ios++;
	st_io(st, &r->d);
}

static bool moved(const struct fmt_entry *e, const struct store_block *b, uint32_t slot)
{
	return !e || e->ver != b->ver || e->crc != b->crc || (e->slot & ~FMT_SLOT_BAD) != slot;
}

enum verdict { GOOD, AGAIN, DAMAGED };

/* Block `i` of the run has been read from `slot`. */
static enum verdict verify(struct store *st, struct run *r, uint32_t i, uint32_t slot, int res)
{
	struct store_op *op = r->t->op;
	struct store_block *b = &op->blocks[r->at + i];
	uint32_t block = op->block + r->at + i;
	const uint8_t *data = op->buf + (size_t)(r->at + i) * FMT_PAGE;
	const struct fmt_entry *e = table_entry(st, r->t->sh, block);

	if (!res && crc32c_block(op->shard, block, b->ver, data) == b->crc) {
		st->n.blocks_read++;
		if (e && e->slot == (slot | FMT_SLOT_BAD) && !moved(e, b, slot)) {
			struct fmt_entry good = {slot, e->crc, e->ver};

			table_set(st, r->t->sh, block, &good);
		}
		return GOOD;
	}
	if (moved(e, b, slot) && r->tries++ < TRIES_MAX)
		return AGAIN;
	if (res && !r->single)
		return AGAIN; /* find out which block of the run it is */
	if (!moved(e, b, slot))
		table_mark_bad(st, r->t->sh, block);
	return DAMAGED;
}

static void damaged(struct store *st, struct run *r, uint32_t i)
{
	struct store_op *op = r->t->op;

	op->blocks[r->at + i].flags = XBD_F_BAD;
	memset(op->buf + (size_t)(r->at + i) * FMT_PAGE, 0, FMT_PAGE);
	st->n.blocks_bad++;
}

/*
 * From block `i` of the run on, read those again that need it, one at a time; bit k of `again` =
 * block k does. True when there is none left.
 */
static bool read_again(struct store *st, struct run *r)
{
	while (r->again) {
		uint32_t i = (uint32_t)__builtin_ctz(r->again);
		uint32_t slot = look_up(st, r->t->sh, r->t->op, r->at + i);

		r->again &= r->again - 1;
		if (!slot)
			continue;
		r->single = (uint16_t)(i + 1);
		r->slot = slot;
		submit(st, r, i, slot, 1);
		return false;
	}
	return true;
}

static void check_run(struct store *st, struct run *r, int res)
{
	uint32_t first = r->single ? r->single - 1u : 0, n = r->single ? 1 : r->count;

	for (uint32_t k = 0; k < n; k++) {
		switch (verify(st, r, first + k, r->slot + k, res)) {
		case GOOD:
			break;
		case AGAIN:
			r->again |= 1u << (first + k);
			break;
		case DAMAGED:
			damaged(st, r, first + k);
			break;
		}
	}
}

static void read_done(struct disk_op *d)
{
	struct run *r = (struct run *)d;
	struct store *st = d->owner;
	struct txn *t = r->t;

	st->ios--;
	t->ios--;
	if (st->failed) {
		if (!t->ios)
			txn_finish(st, t, -XBD_EFAILED);
		st_deliver(st);
		return;
	}
	check_run(st, r, d->res);
	if (read_again(st, r) && !t->ios) {
		st->n.reads++;
		txn_finish(st, t, 0);
	}
	st_deliver(st);
}

static void start_runs(struct store *st, struct txn *t)
{
	struct store_op *op = t->op;
	struct run *r = NULL;

	for (uint32_t i = 0; i < op->count; i++) {
		uint32_t slot = look_up(st, t->sh, op, i);

		if (slot && r && r->at + r->count == i && r->slot + r->count == slot) {
			r->count++;
			continue;
		}
		if (!slot)
			continue;
		r = run_get(st, t);
		XBD_ASSERT(r);
		r->at = i;
		r->slot = slot;
		r->count = 1;
	}
	for (r = t->runs; r; r = r->next)
		submit(st, r, 0, r->slot, r->count);
}

/* False = too much in flight, ask again. */
bool read_start(struct store *st, struct store_op *op)
{
	struct shard *sh = shard_find(st, op->shard);
	struct txn *t;

	if (!sh || !sh->held) {
		st_finish_op(st, op, -XBD_ENOTFOUND);
		return true;
	}
	if (!op->count || op->count > XBD_OP_BLOCKS || op->block >= XBD_SHARD_BLOCKS_MAX ||
	    op->count > XBD_SHARD_BLOCKS_MAX - op->block) {
		st_finish_op(st, op, -EINVAL);
		return true;
	}
	if (st->run_busy + op->count > RUN_MAX || !(t = txn_get(st, op, sh)))
		return false;
	start_runs(st, t);
	if (!t->ios) {
		st->n.reads++;
		txn_finish(st, t, 0);
	}
	return true;
}
