/* SPDX-License-Identifier: BSD-2-Clause */
#include "mstore.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "core/rules.h"

int sim_shard_index(const struct sim *s, uint32_t id)
{
	for (unsigned i = 0; i < s->opt.shards; i++)
		if (s->shard_id[i] == id)
			return (int)i;
	return -1;
}

struct mdisk *mdisk_new(struct sim *s, uint8_t host)
{
	struct mdisk *d = arena_zero(&s->arena, sizeof(*d));
	uint32_t n = ++s->uuids;

	d->sim = s;
	d->host = host;
	d->witness = host == HOST_WITNESS;
	memset(d->uuid.b, 0xd0 + host, sizeof(d->uuid.b));
	memcpy(d->uuid.b, &n, sizeof(n));
	for (unsigned i = 0; i < s->opt.shards; i++) {
		struct mshard *sh = &d->shard[i];

		sh->nregions = (s->shard_blocks[i] + XBD_REGION_BLOCKS - 1) / XBD_REGION_BLOCKS;
		sh->region = arena_zero(&s->arena, sh->nregions * sizeof(*sh->region));
	}
	return d;
}

const struct mblock *mdisk_block(const struct mdisk *d, unsigned shard, uint32_t block)
{
	const struct mshard *sh = &d->shard[shard];
	const struct mregion *r;

	if (!sh->used || block / XBD_REGION_BLOCKS >= sh->nregions)
		return NULL;
	r = sh->region[block / XBD_REGION_BLOCKS];
	return r ? &r->b[block % XBD_REGION_BLOCKS] : NULL;
}

struct mblock *mdisk_block_make(struct mdisk *d, unsigned shard, uint32_t block)
{
	struct mshard *sh = &d->shard[shard];
	struct mregion **r;

	if (block / XBD_REGION_BLOCKS >= sh->nregions)
		return NULL;
	r = &sh->region[block / XBD_REGION_BLOCKS];
	if (!*r)
		*r = arena_zero(&d->sim->arena, sizeof(**r));
	return &(*r)->b[block % XBD_REGION_BLOCKS];
}

static void set_block(struct mdisk *d, struct mblock *b, const struct store_op *op, uint32_t i)
{
	bool zero = op->kind == STORE_ZERO || (op->kind == STORE_REPAIR && op->flags);

	b->ver = op->ver;
	b->at = d->sim->now;
	b->rot = b->bad = false;
	b->flags = op->flags & STORE_F_TRIM ? XBD_F_TRIM : 0;
	b->crc = zero ? 0 : op->crc[i];
	if (zero) {
		if (b->data) {
			*(void **)b->data = d->free_data;
			d->free_data = b->data;
		}
		b->data = NULL;
		return;
	}
	if (!b->data && d->free_data) {
		b->data = d->free_data;
		d->free_data = *(void **)b->data;
	} else if (!b->data) {
		b->data = arena_get(&d->sim->arena, XBD_BLOCK_SIZE);
	}
	memcpy(b->data, op->buf + (size_t)i * XBD_BLOCK_SIZE, XBD_BLOCK_SIZE);
}

static void apply_write(struct mdisk *d, unsigned shard, struct store_op *op, bool torn)
{
	for (uint32_t i = 0; i < op->count; i++) {
		struct mblock *b = mdisk_block_make(d, shard, op->block + i);

		if (!b || (b->ver >= op->ver && XBD_RULE(B2_ORDER)) ||
		    (torn && prng_percent(&d->sim->fault, 50)))
			continue;
		set_block(d, b, op, i);
	}
}

static void apply_repair(struct mdisk *d, unsigned shard, struct store_op *op)
{
	struct mblock *b = mdisk_block_make(d, shard, op->block);

	if (!b) {
		op->res = -EINVAL;
		return;
	}
	if (b->ver != op->expect && XBD_RULE(B3_CAS)) {
		op->expect = b->ver;
		op->res = -ESTALE;
		return;
	}
	set_block(d, b, op, 0);
	op->expect = op->ver;
}

static void apply_read(struct mdisk *d, unsigned shard, struct store_op *op)
{
	for (uint32_t i = 0; i < op->count; i++) {
		uint8_t *to = op->buf + (size_t)i * XBD_BLOCK_SIZE;
		struct mblock *b = (struct mblock *)mdisk_block(d, shard, op->block + i);

		op->blocks[i] = (struct store_block){.flags = XBD_F_ZERO};
		if (!b || !b->data) {
			memset(to, 0, XBD_BLOCK_SIZE);
			if (b) {
				op->blocks[i].ver = b->ver;
				op->blocks[i].flags |= b->flags;
			}
			continue;
		}
		b->bad |= b->rot;
		op->blocks[i] = (struct store_block){b->ver, b->crc, b->bad ? XBD_F_BAD : 0};
		memcpy(to, b->data, XBD_BLOCK_SIZE);
		if (b->rot)
			to[i % XBD_BLOCK_SIZE] ^= 0x10;
	}
}

static void apply_list(struct mdisk *d, unsigned shard, struct store_op *op)
{
	for (uint32_t i = 0; i < XBD_REGION_BLOCKS; i++) {
		const struct mblock *b = mdisk_block(d, shard, op->block + i);

		op->list[i] = (struct xbd_list_entry){0};
		if (b)
			op->list[i] = (struct xbd_list_entry){
				.ver = b->ver,
				.crc = b->crc,
				.flags = (b->ver && !b->data ? XBD_F_ZERO : 0) | b->flags |
					 (b->bad ? XBD_F_BAD : 0),
			};
	}
}

static bool region_newer(const struct mregion *r, uint64_t ver)
{
	for (unsigned i = 0; r && i < XBD_REGION_BLOCKS; i++)
		if (r->b[i].ver > ver || r->b[i].bad)
			return true;
	return false;
}

static void apply_regions(struct mdisk *d, unsigned shard, struct store_op *op)
{
	const struct mshard *sh = &d->shard[shard];
	uint32_t n = 0, r = op->block;

	for (op->more = 0; r < sh->nregions; r++) {
		if (!region_newer(sh->region[r], op->ver))
			continue;
		if (n == op->count) {
			op->more = 1;
			break;
		}
		op->regions[n++] = r;
	}
	op->count = (uint16_t)n;
}

static void drop_blocks(struct mshard *sh)
{
	memset(sh->region, 0, sh->nregions * sizeof(*sh->region));
}

void store_trace(const struct sim *s, unsigned node, const struct store_op *op,
		 const struct xbd_state *st)
{
	if (op->kind == STORE_WRITE || op->kind == STORE_ZERO)
		sim_trace(s, "store %u WRITE block %u+%u ver %u.%lu", node, op->block, op->count,
			  XBD_VER_EPOCH(op->ver), (unsigned long)XBD_VER_SEQ(op->ver));
	else if (op->kind == STORE_REPAIR)
		sim_trace(s, "store %u REPAIR block %u ver %u.%lu res %d held %u.%lu", node,
			  op->block, XBD_VER_EPOCH(op->ver), (unsigned long)XBD_VER_SEQ(op->ver),
			  op->res, XBD_VER_EPOCH(op->expect),
			  (unsigned long)XBD_VER_SEQ(op->expect));
	else if (op->kind == STORE_STATE)
		sim_trace(s, "store %u STATE prom %u synced %u comp %u.%lu rec %u/%u d %#x w %u",
			  node, st->prom, st->synced, XBD_VER_EPOCH(st->comp),
			  (unsigned long)XBD_VER_SEQ(st->comp), st->rec.bal, st->rec.epoch,
			  st->rec.d_mask, st->rec.w);
}

static void apply(struct sim *s, struct mop *m)
{
	struct store_op *op = m->op;
	int i = sim_shard_index(s, op->shard);
	struct mshard *sh;

	m->applied = true;
	if (m->disk->failed) {
		op->res = -XBD_EFAILED;
		return;
	}
	XBD_ASSERT(i >= 0);
	sh = &m->disk->shard[i];
	op->res = 0;
	if (op->kind == STORE_STATE || op->kind == STORE_DROP) {
		if (op->kind == STORE_DROP)
			drop_blocks(sh);
		sh->used = true;
		sh->state = m->state;
		return;
	}
	if (!sh->used) {
		op->res = -XBD_ENOTFOUND;
		return;
	}
	if (op->kind == STORE_WRITE || op->kind == STORE_ZERO)
		apply_write(m->disk, (unsigned)i, op, false);
	else if (op->kind == STORE_REPAIR)
		apply_repair(m->disk, (unsigned)i, op);
	else if (op->kind == STORE_READ)
		apply_read(m->disk, (unsigned)i, op);
	else if (op->kind == STORE_LIST)
		apply_list(m->disk, (unsigned)i, op);
	else
		apply_regions(m->disk, (unsigned)i, op);
}

void mstore_apply(struct sim *s, struct mop *m)
{
	apply(s, m);
	if (s->trace)
		store_trace(s, m->disk->host, m->op, &m->state);
}

static struct mop *mop_get(struct sim *s)
{
	struct mop *m = s->free_mops;

	if (m)
		s->free_mops = m->next;
	else
		m = arena_get(&s->arena, sizeof(*m));
	return m;
}

/* Out of the list; its memory stays until its events have passed. */
static void unlink_mop(struct mop *m)
{
	if (m->prev)
		m->prev->next = m->next;
	else
		m->disk->head = m->next;
	if (m->next)
		m->next->prev = m->prev;
	m->disk->pending--;
}

void mstore_submit(struct store *st, struct store_op *op)
{
	struct sim *s = st->sim;
	struct mdisk *d = st->disk;
	struct mop *m = mop_get(s);
	int i = sim_shard_index(s, op->shard);
	uint64_t at;

	*m = (struct mop){.op = op, .st = st, .disk = d, .gen = st->gen, .host = st->host->id};
	m->next = d->head;
	if (d->head)
		d->head->prev = m;
	d->head = m;
	d->pending++;
	at = s->now + 2 * US + prng_exp(&s->net, s->opt.store_us * US) * st->host->slow;
	if (op->kind == STORE_STATE || op->kind == STORE_DROP) {
		XBD_ASSERT(i >= 0);
		m->state = *op->state;
		if (at <= d->shard[i].state_at)
			at = d->shard[i].state_at + 1;
		d->shard[i].state_at = at;
	}
	sim_at(s, at, EV_APPLY, d->host, m->gen, 0, m);
}

void mstore_done(struct sim *s, struct mop *m)
{
	struct store_op *op = m->op;

	XBD_ASSERT(m->applied);
	unlink_mop(m);
	m->next = s->free_mops;
	s->free_mops = m;
	op->done(op);
}

void mstore_crash(struct mdisk *d)
{
	for (struct mop *m = d->head; m; m = d->head) {
		struct store_op *op = m->op;
		int i = sim_shard_index(d->sim, op->shard);

		if (!m->applied && !d->failed && i >= 0 && prng_percent(&d->sim->fault, 50)) {
			if (op->kind == STORE_WRITE || op->kind == STORE_ZERO)
				apply_write(d, (unsigned)i, op, true);
			else if (op->kind == STORE_REPAIR || op->kind == STORE_STATE)
				mstore_apply(d->sim, m);
		}
		m->op = NULL; /* its event finds nothing to do */
		unlink_mop(m);
	}
}
