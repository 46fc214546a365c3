/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations in flight and the table that finds those on the same blocks. An operation of up to 32
 * blocks touches at most two regions and is linked into a hash by region; TRIM and ZERO of many
 * regions are on a list of their own that every look-up walks (there are few).
 */
#include <string.h>

#include "coordinator/internal.h"

static struct cop *op_get(struct co *co)
{
	struct cop *op = co->free_ops;

	if (!op)
		return NULL;
	co->free_ops = op->next;
	co->ops_used++;
	memset(op, 0, sizeof(*op));
	return op;
}

void co_op_put(struct co *co, struct cop *op)
{
	XBD_ASSERT(op->phase != COP_FREE && co->ops_used > 0);
	XBD_ASSERT(op->nlinks == 0 && !op->wide);
	op->phase = COP_FREE;
	op->next = co->free_ops;
	co->free_ops = op;
	co->ops_used--;
	co->unblock = true;
}

static struct hlink **bucket(struct co *co, uint32_t shard, uint32_t region)
{
	uint32_t h = (region ^ shard << 18) * 2654435761u;

	return &co->hash[h >> 20 & (HASH_SIZE - 1)];
}

void co_op_link(struct cop *op)
{
	struct co *co = op->sh->co;
	uint32_t first = op->block / XBD_REGION_BLOCKS;
	uint32_t last = (op->block + op->count - 1) / XBD_REGION_BLOCKS;

	XBD_ASSERT(op->nlinks == 0 && !op->wide);
	if (last - first >= 2) {
		op->wide = true;
		op->wprevp = &co->wide;
		op->wnext = co->wide;
		if (op->wnext)
			op->wnext->wprevp = &op->wnext;
		co->wide = op;
		return;
	}
	for (uint32_t region = first; region <= last; region++) {
		struct hlink *l = &op->link[op->nlinks++];
		struct hlink **b = bucket(co, op->sh->index, region);

		*l = (struct hlink){op, op->sh->index, region, *b, b};
		if (l->next)
			l->next->prevp = &l->next;
		*b = l;
	}
}

void co_op_unlink(struct cop *op)
{
	if (op->wide) {
		*op->wprevp = op->wnext;
		if (op->wnext)
			op->wnext->wprevp = op->wprevp;
		op->wide = false;
	}
	while (op->nlinks) {
		struct hlink *l = &op->link[--op->nlinks];

		*l->prevp = l->next;
		if (l->next)
			l->next->prevp = l->prevp;
	}
}

static void look(struct overlap *o, const struct cop *op, uint32_t block, uint32_t count,
		 const struct cop *self)
{
	if (op == self || op->block >= block + count || block >= op->block + op->count)
		return;
	if (op->phase == COP_WRITE)
		o->writing = true;
	else if (op->phase == COP_RMW)
		o->merging = true;
	else if (op->again && op->phase == COP_BLOCKED)
		o->merging |= !(self && self->again && self->ver < op->ver);
	else if (op->phase == COP_COMPLETE)
		o->holders &= op->acked;
	if ((op->phase == COP_WRITE || op->phase == COP_COMPLETE) && op->ver > o->newest) {
		o->newest = op->ver;
		o->receivers = op->sent & (uint8_t)~op->lagged;
	}
}

struct overlap co_overlap(struct cshard *sh, uint32_t block, uint32_t count, const struct cop *self)
{
	struct overlap o = {.holders = 0xff};
	struct co *co = sh->co;
	uint32_t last = (block + count - 1) / XBD_REGION_BLOCKS;

	XBD_ASSERT(count >= 1);
	for (const struct cop *op = co->wide; op; op = op->wnext)
		if (op->sh == sh)
			look(&o, op, block, count, self);
	for (uint32_t region = block / XBD_REGION_BLOCKS; region <= last; region++)
		for (struct hlink *l = *bucket(co, sh->index, region); l; l = l->next)
			if (l->region == region && l->shard == sh->index)
				look(&o, l->op, block, count, self);
	return o;
}

void co_op_block(struct cop *op)
{
	struct co *co = op->sh->co;

	if (op->phase != COP_RMW) /* one that has merged keeps its blocks */
		op->phase = COP_BLOCKED;
	op->next = NULL;
	op->prev = co->blocked_tail;
	if (co->blocked_tail)
		co->blocked_tail->next = op;
	else
		co->blocked_head = op;
	co->blocked_tail = op;
}

static void start(struct cop *op)
{
	if (op->kind == CO_READ || op->kind == CO_MAP)
		co_read_start(op);
	else
		co_write_start(op);
}

void co_unblock(struct co *co)
{
	struct cop *op = co->blocked_head;

	if (!co->unblock)
		return;
	co->unblock = false;
	co->blocked_head = co->blocked_tail = NULL;
	while (op) {
		struct cop *next = op->next;

		op->next = op->prev = NULL;
		start(op); /* may block again, in the same order */
		op = next;
	}
}

/* A request of `len` bytes at `offset` lies in one shard and keeps its caller's rules. */
static bool valid(const struct co *co, const struct co_req *req)
{
	uint64_t chunk = req->kind == CO_TRIM || req->kind == CO_ZERO ? CO_RANGE : CO_CHUNK;

	if (req->len == 0 || req->offset > co->cfg.size || req->len > co->cfg.size - req->offset)
		return false;
	if (req->offset / chunk != (req->offset + req->len - 1) / chunk)
		return false;
	if (req->kind == CO_TRIM || req->kind == CO_ZERO || req->kind == CO_MAP)
		return req->offset % XBD_BLOCK_SIZE == 0 && req->len % XBD_BLOCK_SIZE == 0;
	return req->kind == CO_READ || req->kind == CO_WRITE;
}

static void place(struct co *co, struct co_req *req)
{
	uint64_t first = req->offset >> XBD_BLOCK_SHIFT;
	uint64_t last = (req->offset + req->len - 1) >> XBD_BLOCK_SHIFT;

	req->shard = (uint32_t)(first / co->cfg.shard_blocks);
	req->block = (uint32_t)(first % co->cfg.shard_blocks);
	req->count = (uint32_t)(last - first + 1);
}

/* True = the request has left the waiting list. */
static bool admit(struct co *co, struct co_req *req)
{
	struct cshard *sh = &co->shards[req->shard];
	struct cop *op;

	if (sh->phase != CO_SERVING)
		return false;
	op = op_get(co);
	if (!op)
		return false;
	op->phase = COP_BLOCKED;
	op->req = req;
	op->kind = req->kind;
	op->sh = sh;
	op->block = req->block;
	op->count = req->count;
	start(op);
	return true;
}

static void wait_append(struct co *co, struct co_req *req)
{
	req->next = NULL;
	if (co->wait_tail)
		co->wait_tail->next = req;
	else
		co->wait_head = req;
	co->wait_tail = req;
}

void co_drain_waiting(struct co *co)
{
	while (co->wait_head && co->free_ops) {
		struct co_req *req = co->wait_head;

		if (!admit(co, req))
			break;
		co->wait_head = req->next;
		if (!co->wait_head)
			co->wait_tail = NULL;
	}
}

void co_submit(struct co *co, uint64_t now_ns, struct co_req *req)
{
	XBD_ASSERT(now_ns >= co->now);
	co->now = now_ns;
	req->start_ns = now_ns;
	req->refs++;
	if (co->dead) {
		co_finish(co, req, -XBD_EFENCED);
	} else if (req->kind == CO_FLUSH) {
		/* A write is complete only when it is durable on a majority: nothing is pending. */
		co->n.flushes++;
		co_finish(co, req, 0);
	} else if (!valid(co, req)) {
		co_finish(co, req, -EINVAL);
	} else {
		place(co, req);
		if (co->wait_head || (co->unblock && co->blocked_head) || !admit(co, req))
			wait_append(co, req);
	}
}
