/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations in flight: from start until their data and journal block are durable. Here is the
 * order in which things become durable, and who waits for whom:
 *  - WRITE and ZERO never wait for each other: per block the highest version wins, when they are
 *    applied as when they are replayed.
 *  - A REPAIR waits until earlier changes of its block have ended, later ones wait for it; it is
 *    applied when everything journalled before it is durable (format.h, invariant 6).
 *  - A DROP does the same with its whole shard.
 */
#include "store/internal.h"

/* NULL = too many in flight. */
struct txn *txn_get(struct store *st, struct store_op *op, struct shard *sh)
{
	struct txn *t = st->txn_free;

	if (t)
		st->txn_free = t->step;
	else if (st->txn_used < TXN_MAX)
		t = &st->txns[st->txn_used++];
	else
		return NULL;
	st->txn_busy++;
	*t = (struct txn){.op = op, .sh = sh, .seq = ++st->seq};
	t->parked_end = &t->parked;
	if (op->kind == STORE_READ)
		return t;
	st->writers++;
	sh->inflight++;
	t->next = sh->txns;
	if (t->next)
		t->next->prev = t;
	sh->txns = t;
	return t;
}

struct run *run_get(struct store *st, struct txn *t)
{
	struct run *r = st->run_free;

	if (r)
		st->run_free = r->next;
	else if (st->run_used < RUN_MAX)
		r = &st->runs[st->run_used++];
	else
		return NULL;
	st->run_busy++;
	*r = (struct run){.t = t, .next = t->runs};
	t->runs = r;
	return r;
}

static void txn_put(struct store *st, struct txn *t)
{
	XBD_ASSERT(!t->ios && !t->stepped);
	while (t->runs) {
		struct run *r = t->runs;

		t->runs = r->next;
		r->next = st->run_free;
		st->run_free = r;
		st->run_busy--;
	}
	t->op = NULL;
	t->step = st->txn_free;
	st->txn_free = t;
	st->txn_busy--;
}

/* `op` starts again when `t` has ended. */
void txn_park(struct txn *t, struct store_op *op)
{
	op->next = NULL;
	*t->parked_end = op;
	t->parked_end = &op->next;
}

static bool overlaps(const struct store_op *a, const struct store_op *b)
{
	return a->block < b->block + b->count && b->block < a->block + a->count;
}

/* `t` has ended: let REPAIRs and the DROP that waited for it go. */
static void release(struct store *st, struct txn *t)
{
	struct shard *sh = t->sh;
	uint8_t kind = t->op->kind;

	for (struct txn *r = sh->repairs; r; r = r->repair) {
		if (!r->waits || r->seq < t->seq || (kind != STORE_WRITE && kind != STORE_ZERO) ||
		    !overlaps(r->op, t->op))
			continue;
		if (--r->waits == 0)
			txns_add(&st->go, r);
	}
	if (sh->drop && sh->drop != t && sh->drop->waits && --sh->drop->waits == 0)
		txns_add(&st->go, sh->drop);
}

static void unlink_writer(struct store *st, struct txn *t)
{
	struct shard *sh = t->sh;

	if (t->prev)
		t->prev->next = t->next;
	else
		sh->txns = t->next;
	if (t->next)
		t->next->prev = t->prev;
	for (struct txn **p = &sh->repairs; *p; p = &(*p)->repair) {
		if (*p == t) {
			*p = t->repair;
			break;
		}
	}
	if (sh->drop == t)
		sh->drop = NULL;
	XBD_ASSERT(sh->inflight && st->writers);
	sh->inflight--;
	st->writers--;
	st->logged -= t->logged;
	if (!st->failed)
		release(st, t);
}

/* Operations that waited for `t` start again, before all others. */
static void unpark(struct store *st, struct txn *t)
{
	struct store_op *next;

	if (!t->parked)
		return;
	if (st->failed) {
		for (struct store_op *op = t->parked; op; op = next) {
			next = op->next;
			st_finish_op(st, op, -XBD_EFAILED);
		}
		return;
	}
	*t->parked_end = st->queue.head;
	if (!st->queue.head)
		st->queue.end = t->parked_end;
	st->queue.head = t->parked;
}

void txn_finish(struct store *st, struct txn *t, int res)
{
	struct store_op *op = t->op;

	if (op->kind != STORE_READ) {
		unlink_writer(st, t);
		unpark(st, t);
	}
	txn_put(st, t);
	st_finish_op(st, op, res);
}

/* A data write has ended. */
void txn_data_done(struct disk_op *d)
{
	struct run *r = (struct run *)d;
	struct store *st = d->owner;

	st->ios--;
	if (d->res)
		st_fail(st, d->res, "write of data");
	XBD_ASSERT(r->t->ios);
	r->t->ios--;
	txn_check(st, r->t);
	st_deliver(st);
}

/* Data and journal both written? */
void txn_check(struct store *st, struct txn *t)
{
	if (t->ios)
		return;
	if (st->failed) {
		if (!t->stepped)
			txn_finish(st, t, -XBD_EFAILED);
		return;
	}
	if (!t->walled)
		return;
	if (st->disk->volatile_cache)
		txns_add(&st->ready, t);
	else
		txn_ready(st, t);
}

static void apply(struct store *st, struct txn *t)
{
	switch (t->op->kind) {
	case STORE_STATE:
		state_durable(st, t);
		break;
	case STORE_DROP:
		drop_durable(st, t);
		break;
	default:
		write_durable(st, t);
	}
	txn_finish(st, t, 0);
}

/* Data and journal of `t` are on stable storage. */
void txn_ready(struct store *st, struct txn *t)
{
	struct journal *j = &st->j;
	bool waits = t->op->kind == STORE_REPAIR || t->op->kind == STORE_DROP;
	uint64_t lsn = t->lsn;

	XBD_ASSERT(t->logged && t->walled && !t->ios);
	if (waits)
		txns_add(&st->dwait, t);
	else
		apply(st, t);
	XBD_ASSERT(j->open[lsn % j->ring]);
	j->open[lsn % j->ring]--;
	txn_advance(st);
}

/* Moves j->durable on and applies what waited for it. */
void txn_advance(struct store *st)
{
	struct journal *j = &st->j;
	struct txn_list later;
	struct txn *t;

	while (j->durable < j->wal_durable && !j->open[(j->durable + 1) % j->ring])
		j->durable++;
	if (!st->dwait.head)
		return;
	txns_init(&later);
	while ((t = txns_pop(&st->dwait))) {
		if (t->lsn <= j->durable)
			apply(st, t);
		else
			txns_add(&later, t);
	}
	while ((t = txns_pop(&later)))
		txns_add(&st->dwait, t);
}

static void flush_done(struct disk_op *d)
{
	struct store *st = d->owner;
	struct txn *t;

	st->ios--;
	st->flush_busy = false;
	if (d->res)
		st_fail(st, d->res, "flush");
	if (!st->failed)
		st->j.wal_durable = st->j.flush_to;
	while ((t = txns_pop(&st->flushing))) {
		if (st->failed)
			txn_finish(st, t, -XBD_EFAILED);
		else
			txn_ready(st, t);
	}
	if (!st->failed)
		txn_advance(st);
	st_deliver(st);
}

/* With a volatile cache: one flush for all operations whose data and journal are written. */
void txn_flush(struct store *st)
{
	struct txn *t;

	if (st->flush_busy || (!st->ready.head && st->j.wal_durable == st->j.written))
		return;
	if (!st->ready.head && st->logged)
		return;
	while ((t = txns_pop(&st->ready)))
		txns_add(&st->flushing, t);
	st->j.flush_to = st->j.written;
	st->flush_busy = true;
	st->flush = (struct disk_op){.kind = DISK_FLUSH, .done = flush_done, .owner = st};
	st_io(st, &st->flush);
}

static void fail_list(struct txn_list *l)
{
	while (txns_pop(l))
		;
}

/* The store has failed: end everything that has no data I/O in flight. */
void txn_fail_all(struct store *st)
{
	XBD_ASSERT(st->failed);
	fail_list(&st->go);
	fail_list(&st->ready);
	fail_list(&st->dwait);
	fail_list(&st->j.group);
	for (uint32_t i = 0; i < st->txn_used; i++) {
		struct txn *t = &st->txns[i];

		if (t->op && !t->ios && !t->stepped)
			txn_finish(st, t, -XBD_EFAILED);
	}
}
