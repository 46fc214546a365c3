/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/error.h"

struct store *fake_new(void)
{
	struct store *st = calloc(1, sizeof(*st));

	XBD_ASSERT(st);
	memset(st->info.uuid.b, 0x5a, sizeof(st->info.uuid.b));
	memset(st->info.cluster.b, 0xcc, sizeof(st->info.cluster.b));
	st->info.boot = 1;
	st->info.slots = st->info.slots_free = 1000;
	st->info.shards_max = FAKE_SHARDS;
	return st;
}

void fake_free(struct store *st)
{
	free(st);
}

const struct xbd_state *store_state(const struct store *st, uint32_t shard)
{
	return shard < FAKE_SHARDS && st->held[shard] ? &st->state[shard] : NULL;
}

size_t store_shards(const struct store *st, uint32_t *ids, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < FAKE_SHARDS; i++)
		if (st->held[i] && n++ < max)
			ids[n - 1] = i;
	return n;
}

void store_info(const struct store *st, struct store_info *out)
{
	*out = st->info;
}

void store_kick(struct store *st)
{
	st->kicks++;
}

void store_submit(struct store *st, struct store_op *op)
{
	struct fake_op *f = &st->ops[st->nops];

	XBD_ASSERT(st->nops < FAKE_HELD);
	XBD_ASSERT(op->kind <= STORE_DROP && op->shard < FAKE_SHARDS && op->done);
	XBD_ASSERT(op->kind == STORE_STATE || st->held[op->shard]);
	f->op = op;
	if (op->kind == STORE_STATE || op->kind == STORE_DROP)
		f->state = *op->state;
	st->nops++;
	st->submitted[op->kind]++;
}

static void put(struct fake_block *b, const struct store_op *op, uint32_t i)
{
	bool zero = op->kind == STORE_ZERO ||
		    (op->kind == STORE_REPAIR && (op->flags & (STORE_F_ZERO | STORE_F_TRIM)));

	b->ver = op->ver;
	b->crc = zero ? 0 : op->crc[i];
	b->flags = zero ? XBD_F_ZERO | (op->flags & STORE_F_TRIM ? XBD_F_TRIM : 0) : 0;
	if (zero) {
		memset(b->data, 0, sizeof(b->data));
		return;
	}
	memcpy(b->data, op->buf + (size_t)i * XBD_BLOCK_SIZE, XBD_BLOCK_SIZE);
	/* its caller has verified it */
	XBD_ASSERT(crc32c_block(op->shard, op->block + i, op->ver, b->data) == b->crc);
}

static void list(const struct store *st, struct store_op *op)
{
	for (uint32_t i = 0; i < XBD_REGION_BLOCKS && op->block + i < FAKE_BLOCKS; i++) {
		const struct fake_block *b = &st->block[op->shard][op->block + i];

		op->list[i] = (struct xbd_list_entry){b->ver, b->crc, b->flags};
	}
}

static void regions(const struct store *st, struct store_op *op)
{
	uint16_t room = op->count;

	op->count = 0;
	for (uint32_t r = op->block; r < FAKE_BLOCKS / XBD_REGION_BLOCKS; r++) {
		bool newer = false;

		for (uint32_t i = 0; i < XBD_REGION_BLOCKS; i++)
			newer |= st->block[op->shard][r * XBD_REGION_BLOCKS + i].ver > op->ver;
		if (newer && op->count == room)
			op->more = 1;
		else if (newer)
			op->regions[op->count++] = r;
	}
}

static int repair(struct fake_block *b, struct store_op *op)
{
	if (b->ver != op->expect) {
		op->expect = b->ver;
		return -ESTALE;
	}
	put(b, op, 0);
	op->expect = op->ver;
	return 0;
}

static int apply(struct store *st, struct fake_op *f)
{
	struct store_op *op = f->op;
	struct fake_block *b = &st->block[op->shard][op->block % FAKE_BLOCKS];

	switch (op->kind) {
	case STORE_WRITE:
	case STORE_ZERO:
		for (uint32_t i = 0; i < op->count && op->block + i < FAKE_BLOCKS; i++)
			if (b[i].ver < op->ver)
				put(&b[i], op, i);
		return 0;
	case STORE_READ:
		for (uint32_t i = 0; i < op->count; i++) {
			op->blocks[i] = (struct store_block){
				b[i].ver, b[i].crc, b[i].flags | (b[i].crc ? 0 : XBD_F_ZERO)};
			memcpy(op->buf + (size_t)i * XBD_BLOCK_SIZE, b[i].data, XBD_BLOCK_SIZE);
		}
		return 0;
	case STORE_REPAIR:
		return repair(b, op);
	case STORE_LIST:
		list(st, op);
		return 0;
	case STORE_REGIONS:
		regions(st, op);
		return 0;
	default:
		st->held[op->shard] = true;
		st->state[op->shard] = f->state;
		return 0;
	}
}

static void end(struct store *st, unsigned at, int res)
{
	struct fake_op f = st->ops[at];

	st->nops--;
	memmove(&st->ops[at], &st->ops[at + 1], (st->nops - at) * sizeof(f));
	f.op->res = res ? res : apply(st, &f);
	f.op->done(f.op);
}

void fake_end(struct store *st, int res)
{
	XBD_ASSERT(st->nops > 0);
	end(st, 0, res);
}

void fake_end_kind(struct store *st, enum store_kind kind, int res)
{
	for (unsigned i = 0; i < st->nops; i++)
		if (st->ops[i].op->kind == kind) {
			end(st, i, res);
			return;
		}
	XBD_ASSERT(!"no operation of that kind");
}

void fake_end_all(struct store *st)
{
	while (st->nops)
		fake_end(st, 0);
}
