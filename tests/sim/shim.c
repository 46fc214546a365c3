/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions of store.h that a replica calls: to the model, or to the real store, whose names
 * are changed by rename.h so that both fit into one program.
 */
#include <string.h>

#include "base/assert.h"
#include "mstore.h"
#include "rstore.h"

static void audit_submit(struct store *st, const struct store_op *op)
{
	bool zero = op->kind == STORE_ZERO || (op->kind == STORE_REPAIR && op->flags);

	if (op->kind != STORE_WRITE && op->kind != STORE_REPAIR && op->kind != STORE_ZERO)
		return;
	for (uint32_t i = 0; i < op->count; i++)
		audit_content(st->sim, op->shard, op->block + i, op->ver, zero ? 0 : op->crc[i]);
}

void store_submit(struct store *st, struct store_op *op)
{
	XBD_ASSERT(st->host->alive);
	audit_submit(st, op);
	if (st->real)
		rstore_submit(st, op);
	else
		mstore_submit(st, op);
}

void store_kick(struct store *st)
{
	if (st->real)
		rstore_kick(st);
}

const struct xbd_state *store_state(const struct store *st, uint32_t shard)
{
	int i = sim_shard_index(st->sim, shard);

	if (st->real)
		return rstore_state(st, shard);
	return i >= 0 && st->disk->shard[i].used ? &st->disk->shard[i].state : NULL;
}

size_t store_shards(const struct store *st, uint32_t *ids, size_t max)
{
	size_t n = 0;

	for (unsigned i = 0; i < st->sim->opt.shards; i++) {
		if (!store_state(st, st->sim->shard_id[i]))
			continue;
		if (n < max)
			ids[n] = st->sim->shard_id[i];
		n++;
	}
	return n;
}

void store_info(const struct store *st, struct store_info *out)
{
	*out = (struct store_info){
		.uuid = st->disk->uuid,
		.boot = st->disk->boot,
		.slots = 1u << 20,
		.slots_free = 1u << 19,
		.shards = (uint32_t)store_shards(st, NULL, 0),
		.shards_max = SHARDS_MAX + 2,
		.failed = st->disk->failed,
	};
}

void store_counters(const struct store *st, struct store_counters *out)
{
	memset(out, 0, sizeof(*out));
}

const char *store_why(const struct store *st)
{
	return "";
}

void shim_boot(struct host *h, void (*ready)(struct host *h))
{
	struct store *st = arena_zero(&h->sim->arena, sizeof(*st));

	*st = (struct store){.sim = h->sim, .host = h, .disk = h->disk, .gen = h->gen};
	h->store = st;
	h->disk->failed = false;
	if (h->sim->opt.real_store) {
		rstore_boot(st, ready);
		return;
	}
	h->disk->boot++;
	ready(h);
}

void shim_crash(struct host *h)
{
	if (h->sim->opt.real_store)
		rstore_crash(h->store);
	else
		mstore_crash(h->disk);
	h->store = NULL;
}
