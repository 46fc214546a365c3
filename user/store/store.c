/* SPDX-License-Identifier: BSD-2-Clause */
/* The public calls: life cycle, queue, kick, facts. */
#include "store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

static bool start(struct store *st, struct store_op *op);

void *st_alloc(struct store *st, uint64_t bytes)
{
	st->mem += bytes;
	return calloc(1, bytes);
}

void *st_alloc_pages(struct store *st, uint64_t bytes)
{
	void *p = aligned_alloc(FMT_PAGE, bytes);

	st->mem += bytes;
	if (p)
		memset(p, 0, bytes);
	return p;
}

void st_why(struct store *st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st->why, sizeof(st->why), fmt, ap);
	va_end(ap);
}

/* Every disk op goes through here. */
void st_io(struct store *st, struct disk_op *d)
{
	st->ios++;
	switch (d->kind) {
	case DISK_READ:
		st->n.disk_reads++;
		break;
	case DISK_WRITE:
		st->n.disk_writes++;
		st->n.disk_write_bytes += d->len;
		break;
	case DISK_FLUSH:
		st->n.disk_flushes++;
		break;
	}
	if (d->kind != DISK_FLUSH)
		XBD_ASSERT(d->offset + d->len <= st->disk->size && d->len);
	disk_submit(st->disk, d);
}

static void serial_done(struct disk_op *d)
{
	struct store *st = d->owner;
	void (*next)(struct store * st, int res) = st->serial.next;

	st->ios--;
	st->serial.next = NULL;
	next(st, d->res);
	st_deliver(st);
}

/* One step of format, open, checkpoint or close. Writes are FUA. */
void st_serial(struct store *st, uint8_t kind, uint64_t off, void *buf, uint64_t len,
	       void (*next)(struct store *st, int res))
{
	XBD_ASSERT(!st->serial.next);
	st->serial.next = next;
	st->serial.d = (struct disk_op){
		.kind = kind,
		.flags = kind == DISK_WRITE ? DISK_FUA : 0,
		.offset = off,
		.len = len,
		.buf = buf,
		.done = serial_done,
		.owner = st,
	};
	st_io(st, &st->serial.d);
}

/* The first disk error takes the store out of service for good. */
void st_fail(struct store *st, int err, const char *what)
{
	if (st->failed)
		return;
	st->failed = true;
	st->fail_error = err;
	st_why(st, "out of service: %s failed: %s", what, xbd_strerror(err));
	if (st->phase != ST_OPEN && st->phase != ST_CLOSING)
		return;
	for (struct store_op *op; (op = ops_pop(&st->queue));)
		st_finish_op(st, op, -XBD_EFAILED);
	for (struct store_op *op; (op = ops_pop(&st->reads));)
		st_finish_op(st, op, -XBD_EFAILED);
	txn_fail_all(st);
}

/* Format, open or close has ended; told by st_deliver, as the last thing of the event. */
void st_done(struct store *st, int err)
{
	XBD_ASSERT(st->done && !st->ended);
	st->ended = true;
	st->end_err = err;
}

static void state_copy_put(struct store *st, struct store_op *op)
{
	struct state_copy *c = (struct state_copy *)op->state;

	op->state = c->orig;
	c->next = st->state_free;
	st->state_free = c;
}

static bool state_copy_get(struct store *st, struct store_op *op)
{
	struct state_copy *c = st->state_free;

	if (c)
		st->state_free = c->next;
	else if (st->state_used < STATE_MAX)
		c = &st->states[st->state_used++];
	else
		return false;
	c->state = *op->state;
	c->orig = op->state;
	op->state = &c->state;
	return true;
}

/* The operation has ended; its done is called by st_deliver. */
void st_finish_op(struct store *st, struct store_op *op, int res)
{
	op->res = res;
	if (op->kind == STORE_STATE || op->kind == STORE_DROP)
		state_copy_put(st, op);
	if (!res) {
		st->n.writes += op->kind == STORE_WRITE;
		st->n.zeroes += op->kind == STORE_ZERO;
		if (op->kind == STORE_REPAIR) {
			op->expect = op->ver;
			st->n.repairs++;
		}
	}
	ops_add(&st->finished, op);
}

/* Last call of every disk event and of kick. */
void st_deliver(struct store *st)
{
	struct store_op *op;

	if (st->delivering)
		return;
	st->delivering = true;
	while ((op = ops_pop(&st->finished)))
		op->done(op);
	st->delivering = false;
	if (st->ended) {
		void (*done)(void *ctx, int err) = st->done;

		st->ended = false;
		st->done = NULL;
		done(st->ctx, st->end_err); /* may free the store */
	}
}

static bool start(struct store *st, struct store_op *op)
{
	switch (op->kind) {
	case STORE_WRITE:
	case STORE_ZERO:
		return write_start(st, op);
	case STORE_REPAIR:
		return repair_start(st, op);
	case STORE_STATE:
		return state_start(st, op);
	case STORE_DROP:
		return drop_start(st, op);
	case STORE_READ:
		return read_start(st, op);
	case STORE_LIST:
		st_finish_op(st, op, list_run(st, op));
		return true;
	case STORE_REGIONS:
		st_finish_op(st, op, regions_run(st, op));
		return true;
	}
	st_finish_op(st, op, -EINVAL);
	return true;
}

void store_submit(struct store *st, struct store_op *op)
{
	struct op_list *q = op->kind == STORE_READ ? &st->reads : &st->queue;
	bool change = op->kind != STORE_LIST && op->kind != STORE_REGIONS;

	XBD_ASSERT(st->phase == ST_OPEN);
	if ((op->kind == STORE_STATE || op->kind == STORE_DROP) && !state_copy_get(st, op)) {
		op->res = -ENOBUFS;
		ops_add(&st->finished, op);
		return;
	}
	if (st->failed)
		st_finish_op(st, op, -XBD_EFAILED);
	else if ((change && (q->head || st->go.head)) || !start(st, op))
		ops_add(q, op);
}

static void pump_queue(struct store *st, struct op_list *q)
{
	struct store_op *op;

	while ((op = q->head) && !st->failed) {
		/* starting may park the op, which uses op->next: take it off first */
		ops_pop(q);
		if (start(st, op))
			continue;
		op->next = q->head;
		q->head = op;
		if (!op->next)
			q->end = &op->next;
		return;
	}
}

static void pump_go(struct store *st)
{
	while (st->go.head && !st->failed) {
		struct txn *t = txns_pop(&st->go);
		bool gone = t->op->kind == STORE_DROP ? drop_go(st, t) : repair_go(st, t);

		if (gone)
			continue;
		/* no room: it stays first */
		t->stepped = true;
		t->step = st->go.head;
		if (!st->go.head)
			st->go.end = &t->step;
		st->go.head = t;
		return;
	}
}

static void pump(struct store *st)
{
	do {
		st_deliver(st);
		pump_go(st);
		if (!st->go.head)
			pump_queue(st, &st->queue);
		pump_queue(st, &st->reads);
	} while (st->finished.head);
}

static void close_super_written(struct store *st, int err)
{
	st->phase = ST_CLOSED;
	st_done(st, err);
}

static void close_checkpointed(struct store *st, int err)
{
	if (err) {
		st->phase = ST_CLOSED;
		st_done(st, err);
		return;
	}
	st->super->clean = 1;
	super_write(st, close_super_written);
}

static bool quiet(const struct store *st)
{
	return !st->ios && !st->txn_busy && !st->queue.head && !st->reads.head &&
	       !st->ckpt.running && !journal_busy(st) && st->j.wal_durable == st->j.written;
}

static void close_kick(struct store *st)
{
	if (st->ended || st->close_ckpt)
		return;
	if (st->failed) {
		if (!st->ios) {
			st->phase = ST_CLOSED;
			st_done(st, -XBD_EFAILED);
		}
		return;
	}
	if (quiet(st)) {
		st->close_ckpt = true;
		checkpoint_start(st, close_checkpointed);
	}
}

void store_kick(struct store *st)
{
	if (st->delivering || (st->phase != ST_OPEN && st->phase != ST_CLOSING))
		return;
	pump(st);
	if (!st->failed) {
		journal_kick(st);
		if (st->disk->volatile_cache)
			txn_flush(st);
		if (st->phase == ST_OPEN) {
			if (checkpoint_due(st))
				checkpoint_start(st, NULL);
			extents_sweep(st, SWEEP_PAGES);
			discard_kick(st);
		}
	}
	if (st->phase == ST_CLOSING)
		close_kick(st);
	st_deliver(st);
}

bool store_wants_kicks(const struct store *st)
{
	return st->phase == ST_OPEN && !st->failed && !journal_busy(st) && journal_unsealed(st);
}

void store_close(struct store *st, void (*done)(void *ctx, int err), void *ctx)
{
	XBD_ASSERT(st->phase == ST_OPEN && !st->done);
	st->phase = ST_CLOSING;
	st->done = done;
	st->ctx = ctx;
}

struct store *store_new(struct disk *disk)
{
	struct store *st = calloc(1, sizeof(*st));
	bool ok;

	XBD_ASSERT(disk->block_size && FMT_PAGE % disk->block_size == 0);
	if (!st)
		return NULL;
	st->disk = disk;
	st->mem = sizeof(*st);
	st->super = st_alloc_pages(st, FMT_PAGE);
	st->scratch[0] = st_alloc_pages(st, SCRATCH);
	st->scratch[1] = st_alloc_pages(st, SCRATCH);
	st->verify = st_alloc_pages(st, XBD_OP_BLOCKS * FMT_PAGE);
	st->rec = st_alloc(st, sizeof(*st->rec));
	st->txns = st_alloc(st, TXN_MAX * sizeof(struct txn));
	st->runs = st_alloc(st, RUN_MAX * sizeof(struct run));
	st->states = st_alloc(st, STATE_MAX * sizeof(struct state_copy));
	ok = st->super && st->scratch[0] && st->scratch[1] && st->verify && st->rec && st->txns &&
	     st->runs && st->states;
	if (!ok) {
		store_free(st);
		return NULL;
	}
	for (uint8_t i = 0; i < FMT_SUPER_COPIES; i++)
		st->super_order[i] = i;
	for (unsigned i = 0; i < CKPT_BUFS; i++)
		st->ckpt.bufs[i].buf = st->scratch[0] + (size_t)i * CKPT_PAGES * FMT_PAGE;
	ops_init(&st->queue);
	ops_init(&st->reads);
	ops_init(&st->finished);
	txns_init(&st->go);
	txns_init(&st->ready);
	txns_init(&st->flushing);
	txns_init(&st->dwait);
	return st;
}

void store_free(struct store *st)
{
	if (!st)
		return;
	free(st->super);
	free(st->scratch[0]);
	free(st->scratch[1]);
	free(st->verify);
	free(st->rec);
	free(st->txns);
	free(st->runs);
	free(st->states);
	free(st->map);
	free(st->shards);
	free(st->extents);
	free(st->tables);
	free(st->region_max);
	free(st->slots.free);
	free(st->slots.summary);
	free(st->discards);
	free(st->j.buf[0]);
	free(st->j.buf[1]);
	free(st->j.open);
	free(st);
}

const struct xbd_state *store_state(const struct store *st, uint32_t shard)
{
	const struct shard *sh = st->map ? shard_find(st, shard) : NULL;

	return sh && sh->held ? &sh->page.state : NULL;
}

size_t store_shards(const struct store *st, uint32_t *ids, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < st->shard_end; i++) {
		if (!st->shards[i].held)
			continue;
		if (n < max)
			ids[n] = st->shards[i].page.shard;
		n++;
	}
	return n;
}

void store_info(const struct store *st, struct store_info *out)
{
	uint32_t nfree = st->slots.nfree + st->slots.held;

	*out = (struct store_info){
		.uuid = st->super->uuid,
		.cluster = st->super->cluster,
		.boot = st->super->boot,
		.slots = st->super->slots - st->super->spare,
		.slots_free = nfree > st->super->spare ? nfree - st->super->spare : 0,
		.shards = (uint32_t)store_shards(st, NULL, 0),
		.shards_max = st->super->shards_max,
		.mem_bytes = st->mem,
		.disk_bytes = st->super->bytes,
		.failed = st->failed,
		.fail_error = st->fail_error,
	};
}

void store_counters(const struct store *st, struct store_counters *out)
{
	*out = st->n;
}

const char *store_why(const struct store *st)
{
	return st->why;
}
