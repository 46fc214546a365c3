/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * WRITE, ZERO and REPAIR: take slots, table extents and room in the journal (all or none), submit
 * the data, log the records; when durable, move the table entries and free what they held.
 */
#include <string.h>

#include "store/internal.h"

enum room { ROOM_OK, ROOM_WAIT, ROOM_NEVER };

static bool has_data(const struct store_op *op)
{
	return op->kind == STORE_WRITE || (op->kind == STORE_REPAIR && op->ver &&
					   !(op->flags & (STORE_F_TRIM | STORE_F_ZERO)));
}

/* Every block holds this version or a newer one, durably. */
static bool superseded(const struct store *st, const struct shard *sh, const struct store_op *op)
{
	for (uint32_t i = 0; i < op->count; i++) {
		const struct fmt_entry *e = table_entry(st, sh, op->block + i);

		if (!e || e->ver < op->ver)
			return false;
	}
	return true;
}

/* Blocks of the operation that hold no slot yet: they may not use the spare ones. */
static uint32_t growth(const struct store *st, const struct shard *sh, const struct store_op *op)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < op->count; i++) {
		const struct fmt_entry *e = table_entry(st, sh, op->block + i);

		n += !e || !slot_real(e->slot);
	}
	return n;
}

/* Is there space for the operation? WAIT: operations in flight may free some. */
static enum room space_for(struct store *st, struct shard *sh, const struct store_op *op)
{
	uint32_t slots = has_data(op) ? op->count : 0, spare;
	uint32_t missing = table_missing(sh, op->block, op->count);

	if (missing > st->ext_nfree && st->ext_dead)
		extents_sweep(st, UINT32_MAX);
	if (missing > st->ext_nfree)
		return st->logged ? ROOM_WAIT : ROOM_NEVER;
	if (!slots)
		return ROOM_OK;
	spare = growth(st, sh, op) ? st->super->spare : 0;
	if (st->slots.nfree < slots + spare && st->ext_dead)
		extents_sweep(st, UINT32_MAX);
	if (st->slots.nfree >= slots + spare)
		return ROOM_OK;
	return st->logged || st->slots.held ? ROOM_WAIT : ROOM_NEVER;
}

/* Journal bytes of an operation, at most: every block in a slot elsewhere, and new extents. */
static uint32_t log_len(const struct shard *sh, const struct store_op *op)
{
	uint32_t records = has_data(op) ? op->count : 1;

	records += table_missing(sh, op->block, op->count);
	return records * (uint32_t)sizeof(struct fmt_record);
}

static enum room room_for(struct store *st, struct shard *sh, const struct store_op *op)
{
	enum room room = space_for(st, sh, op);

	if (room != ROOM_OK)
		return room;
	if (st->txn_busy == TXN_MAX || st->run_busy + (has_data(op) ? op->count : 0) > RUN_MAX)
		return ROOM_WAIT;
	return journal_room(st, log_len(sh, op)) ? ROOM_OK : ROOM_WAIT;
}

static void log_extents(struct store *st, struct txn *t)
{
	const struct store_op *op = t->op;
	uint32_t last = (op->block + op->count - 1) / FMT_EXT_BLOCKS;

	for (uint32_t i = op->block / FMT_EXT_BLOCKS; i <= last; i++) {
		struct fmt_record *r;

		if (t->sh->page.ext[i])
			continue;
		r = journal_add(st, REC_EXTENT, op->shard, sizeof(*r));
		r->block = i;
		r->slot = extent_take(st, t->sh, i);
		XBD_ASSERT(t->nnew < 3);
		t->new_ext[t->nnew++] = r->slot;
	}
}

static void log_run(struct store *st, const struct store_op *op, const struct run *run)
{
	uint32_t len = journal_write_len(run->count), n = run->count;
	const uint32_t *crc = op->crc + run->at;
	struct fmt_record *r =
		journal_add(st, op->kind == STORE_WRITE ? REC_WRITE : REC_REPAIR, op->shard, len);

	r->count = run->count;
	r->block = op->block + run->at;
	r->slot = run->slot;
	r->ver = op->ver;
	memcpy(r->crc, crc, (n < 2 ? n : 2) * sizeof(*crc));
	if (n > 2)
		memcpy(r->more, crc + 2, (n - 2) * sizeof(*crc));
}

/* Slots for all blocks, in as few runs as the free space allows. */
static void take_slots(struct store *st, struct txn *t)
{
	for (uint32_t at = 0; at < t->op->count;) {
		struct run *run = run_get(st, t);
		uint32_t n;

		XBD_ASSERT(run);
		n = slots_take(st, t->op->count - at, &run->slot);
		run->at = at;
		run->count = (uint16_t)n;
		at += n;
	}
}

static void submit_runs(struct store *st, struct txn *t)
{
	for (struct run *run = t->runs; run; run = run->next)
		t->ios++;
	for (struct run *run = t->runs; run; run = run->next) {
		run->d = (struct disk_op){
			.kind = DISK_WRITE,
			.offset = slot_offset(st, run->slot),
			.len = (uint64_t)run->count * FMT_PAGE,
			.buf = t->op->buf + (size_t)run->at * FMT_PAGE,
			.done = txn_data_done,
			.owner = st,
		};
		st_io(st, &run->d);
	}
}

/* Room is there: log and submit. */
static void go(struct store *st, struct txn *t)
{
	const struct store_op *op = t->op;

	log_extents(st, t);
	if (has_data(op)) {
		take_slots(st, t);
		for (struct run *run = t->runs; run; run = run->next)
			log_run(st, op, run);
	} else {
		struct fmt_record *r = journal_add(
			st, op->kind == STORE_ZERO ? REC_ZERO : REC_REPAIR, op->shard, sizeof(*r));

		r->flags = op->kind == STORE_ZERO ? op->flags : op->flags | STORE_F_ZERO;
		r->count = op->count;
		r->block = op->block;
		r->ver = op->ver;
	}
	journal_log(st, t);
	submit_runs(st, t);
}

static struct txn *repair_of(const struct shard *sh, const struct store_op *op)
{
	for (struct txn *r = sh->repairs; r; r = r->repair)
		if (r->op->block >= op->block && r->op->block < op->block + op->count)
			return r;
	return NULL;
}

static int check_args(const struct store_op *op)
{
	uint32_t max = op->kind == STORE_ZERO	  ? XBD_RANGE_BLOCKS
		       : op->kind == STORE_REPAIR ? 1
						  : XBD_OP_BLOCKS;

	if (!op->count || op->count > max || op->block >= XBD_SHARD_BLOCKS_MAX ||
	    op->count > XBD_SHARD_BLOCKS_MAX - op->block)
		return -EINVAL;
	if (!op->ver && op->kind != STORE_REPAIR)
		return -EINVAL;
	return 0;
}

/* Common start of all three: true = dealt with (parked or refused). */
static bool refuse_or_park(struct store *st, struct store_op *op, struct shard **out)
{
	struct shard *sh = shard_find(st, op->shard);
	struct txn *r;
	int err = check_args(op);

	if (!err && (!sh || (!sh->held && !sh->drop)))
		err = -XBD_ENOTFOUND;
	if (err) {
		st_finish_op(st, op, err);
		return true;
	}
	r = sh->drop ? sh->drop : repair_of(sh, op);
	if (r) {
		txn_park(r, op);
		return true;
	}
	*out = sh;
	return false;
}

/* WRITE and ZERO. False = no room now, ask again. */
bool write_start(struct store *st, struct store_op *op)
{
	struct shard *sh;
	enum room room;

	if (refuse_or_park(st, op, &sh))
		return true;
	if (superseded(st, sh, op)) {
		st->n.superseded += op->count;
		st_finish_op(st, op, 0);
		return true;
	}
	room = room_for(st, sh, op);
	if (room == ROOM_WAIT)
		return false;
	if (room == ROOM_NEVER)
		st_finish_op(st, op, -ENOSPC);
	else
		go(st, txn_get(st, op, sh));
	return true;
}

/* Waits until earlier changes of the block have ended. */
bool repair_start(struct store *st, struct store_op *op)
{
	struct shard *sh;
	struct txn *t;

	if (refuse_or_park(st, op, &sh))
		return true;
	t = txn_get(st, op, sh);
	if (!t)
		return false;
	for (struct txn *w = sh->txns; w; w = w->next) {
		if ((w->op->kind == STORE_WRITE || w->op->kind == STORE_ZERO) &&
		    op->block >= w->op->block && op->block < w->op->block + w->op->count)
			t->waits++;
	}
	t->repair = sh->repairs;
	sh->repairs = t;
	if (!t->waits)
		txns_add(&st->go, t);
	return true;
}

/* The block is ours alone. False = no room now, ask again. */
bool repair_go(struct store *st, struct txn *t)
{
	struct store_op *op = t->op;
	const struct fmt_entry *e = table_entry(st, t->sh, op->block);
	uint64_t held = e ? e->ver : 0;
	enum room room;

	if (held != op->expect) {
		op->expect = held;
		txn_finish(st, t, -ESTALE);
		return true;
	}
	room = space_for(st, t->sh, op);
	if (room == ROOM_NEVER) {
		txn_finish(st, t, -ENOSPC);
		return true;
	}
	if (room == ROOM_WAIT || st->run_busy == RUN_MAX || !journal_room(st, log_len(t->sh, op)))
		return false;
	go(st, t);
	return true;
}

static uint32_t zero_slot(const struct store_op *op)
{
	return op->flags & STORE_F_TRIM ? FMT_SLOT_TRIM : FMT_SLOT_NONE;
}

static void free_slot(struct store *st, uint32_t slot, bool trim)
{
	if (!slot_real(slot))
		return;
	slot &= ~FMT_SLOT_BAD;
	slots_give(st, slot, 1);
	if (trim)
		slots_trimmed(st, slot);
}

/* One block becomes `e`, if its version is higher or this is a REPAIR. */
static void move_block(struct store *st, struct txn *t, uint32_t block, const struct fmt_entry *e)
{
	const struct fmt_entry *old = table_entry(st, t->sh, block);
	uint32_t was = old->slot;

	if (t->op->kind != STORE_REPAIR && e->ver <= old->ver) {
		st->n.superseded++;
		free_slot(st, e->slot, false);
		return;
	}
	table_set(st, t->sh, block, e);
	free_slot(st, was, t->op->flags & STORE_F_TRIM);
	st->n.blocks_written += slot_real(e->slot);
}

/* Data and records of `t` are durable. */
void write_durable(struct store *st, struct txn *t)
{
	const struct store_op *op = t->op;

	for (uint32_t i = 0; i < t->nnew; i++)
		extent_live(st, t->new_ext[i]);
	if (has_data(op)) {
		for (struct run *run = t->runs; run; run = run->next) {
			for (uint32_t i = 0; i < run->count; i++) {
				struct fmt_entry e = {run->slot + i, op->crc[run->at + i], op->ver};

				move_block(st, t, op->block + run->at + i, &e);
			}
		}
	} else {
		struct fmt_entry e = {zero_slot(op), 0, op->ver};

		if (!op->ver)
			e.slot = FMT_SLOT_NONE;
		for (uint32_t i = 0; i < op->count; i++)
			move_block(st, t, op->block + i, &e);
	}
}
