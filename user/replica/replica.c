/* SPDX-License-Identifier: BSD-2-Clause */
/* Start, dispatch and the gate that fences old epochs. */
#include "replica/replica.h"

#include <string.h>
#include <sys/uio.h>

#include "replica/internal.h"

struct rshard *rep_shard(struct replica *r, uint32_t id)
{
	XBD_ASSERT(id < XBD_SHARDS_MAX);
	return r->index[id] ? &r->shards[r->index[id] - 1] : NULL;
}

struct rshard *rep_shard_add(struct replica *r, uint32_t id)
{
	struct rshard *sh = rep_shard(r, id);

	if (sh)
		return sh;
	if (r->nshards == r->shards_max)
		return NULL;
	sh = &r->shards[r->nshards++];
	*sh = (struct rshard){.id = id, .used = true, .owner_peer = NO_PEER};
	r->index[id] = (uint16_t)r->nshards;
	return sh;
}

const struct xbd_state *rep_state(const struct replica *r, uint32_t shard)
{
	return store_state(r->store, shard);
}

uint8_t rep_slot(const struct replica *r, uint32_t shard)
{
	const struct xbd_state *st = rep_state(r, shard);

	return st ? st->slot : XBD_SLOT_NONE;
}

void rep_send(struct replica *r, uint32_t peer, const struct xbd_send *s)
{
	r->ops.send(r->ctx, peer, s);
}

void rep_note(struct replica *r, enum replica_note what, uint32_t shard, uint64_t arg)
{
	if (r->ops.note)
		r->ops.note(r->ctx, what, shard, arg);
}

uint8_t rep_status(int err)
{
	switch (err) {
	case 0:
		return XBD_S_OK;
	case -ENOSPC:
		return XBD_S_NOSPACE;
	case -ESTALE:
		return XBD_S_CONFLICT;
	case -XBD_ENOTFOUND:
		return XBD_S_NOSHARD;
	default:
		return XBD_S_IO;
	}
}

void rep_reply(struct replica *r, const struct xbd_msg *m, uint32_t peer, uint8_t type,
	       uint8_t status)
{
	struct xbd_send s = {
		.type = type,
		.sender = rep_slot(r, m->h.shard),
		.status = status,
		.shard = m->h.shard,
		.block = m->h.block,
		.count = type == XBD_T_DATA ? m->h.count : 0,
		.ver = m->h.ver,
		.stamp = m->h.stamp,
	};

	rep_send(r, peer, &s);
}

uint32_t rep_owner_peer(const struct rshard *sh, const struct xbd_msg *m)
{
	return sh->owner_peer != NO_PEER ? sh->owner_peer : m->from;
}

void rep_stale(struct replica *r, const struct xbd_msg *m, uint32_t prom)
{
	struct xbd_send s = {
		.type = XBD_T_STALE,
		.sender = rep_slot(r, m->h.shard),
		.shard = m->h.shard,
		.block = m->h.block,
		.ver = XBD_VER(prom, 0),
		.ver2 = m->h.ver,
		.stamp = m->h.stamp,
	};

	rep_send(r, m->from, &s);
}

/* To those who keep sending: not more often than needed to make them stop. */
static void stale_sometimes(struct replica *r, struct rshard *sh, const struct xbd_msg *m,
			    uint32_t prom)
{
	if (sh->stale_at && r->now - sh->stale_at < STALE_EVERY_NS)
		return;
	sh->stale_at = r->now;
	rep_stale(r, m, prom);
}

/*
 * The gate of every message inside an epoch: true = its epoch is the promised one and nobody is
 * taking over. Otherwise counts, and answers STALE to an old one.
 */
static bool gate(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, sh->id);
	uint32_t epoch = XBD_VER_EPOCH(m->h.ver);

	XBD_ASSERT(st);
	if (epoch < st->prom && XBD_RULE(A8_FENCE)) {
		r->n.stale++;
		stale_sometimes(r, sh, m, st->prom);
		return false;
	}
	if (epoch > st->prom) {
		r->n.unpromised++;
		if (m->h.type == XBD_T_LEASE) /* this store forgot its promise: rolled back */
			rep_reply(r, m, m->from, XBD_T_LEASED, XBD_S_INVALID);
		return false;
	}
	/* Somebody is taking over: what is accepted now would miss the listing it will get. */
	if (sh->promise.phase != PROMISE_NONE && sh->promise.epoch > epoch && XBD_RULE(A8_FENCE)) {
		r->n.stale++;
		return false;
	}
	return true;
}

static void on_fenced(struct replica *r, const struct xbd_msg *m)
{
	struct rshard *sh = rep_shard(r, m->h.shard);
	const struct xbd_state *st = sh ? rep_state(r, m->h.shard) : NULL;

	if (!st || st->retired) {
		r->n.no_shard++;
		if (m->h.type == XBD_T_LEASE) /* the owner must learn that its replica is gone */
			rep_reply(r, m, m->from, XBD_T_LEASED, XBD_S_NOSHARD);
		return;
	}
	if (m->h.type == XBD_T_RELEASE) {
		rep_on_release(r, m);
		return;
	}
	if (!gate(r, sh, m))
		return;
	switch (m->h.type) {
	case XBD_T_WRITE:
		rep_on_write(r, sh, m);
		break;
	case XBD_T_REPAIR:
		rep_on_repair(r, sh, m);
		break;
	case XBD_T_READ:
		rep_on_read(r, sh, m);
		break;
	case XBD_T_REGIONS:
		rep_on_regions(r, sh, m);
		break;
	case XBD_T_LIST:
		rep_on_list(r, sh, m);
		break;
	case XBD_T_JOIN:
		rep_on_join(r, sh, m);
		break;
	case XBD_T_SYNC:
		rep_on_sync(r, sh, m);
		break;
	case XBD_T_ACCEPT:
		rep_on_accept(r, sh, m);
		break;
	case XBD_T_LEASE:
		rep_on_lease(r, sh, m);
		break;
	default:
		break;
	}
}

void replica_msg(struct replica *r, uint64_t now_ns, const struct xbd_msg *m)
{
	XBD_ASSERT(now_ns >= r->now);
	XBD_ASSERT(m->h.shard < XBD_SHARDS_MAX);
	r->now = now_ns;
	switch (m->h.type) {
	case XBD_T_PROMISE:
		rep_on_promise(r, m);
		break;
	case XBD_T_CREATE:
		rep_on_create(r, m);
		break;
	case XBD_T_RETIRE:
		rep_on_retire(r, m);
		break;
	case XBD_T_INFO:
		rep_on_info(r, m);
		break;
	default:
		if (xbd_type_fenced(m->h.type))
			on_fenced(r, m);
		break;
	}
}

void replica_tick(struct replica *r, uint64_t now_ns)
{
	XBD_ASSERT(now_ns >= r->now);
	r->now = now_ns;
	rep_assembly_tick(r);
	for (uint32_t i = 0; i < r->nshards; i++) {
		struct rshard *sh = &r->shards[i];

		if (sh->promise.phase == PROMISE_LEASE)
			rep_promise_step(r, sh);
	}
}

void replica_flush(struct replica *r, uint64_t now_ns)
{
	XBD_ASSERT(now_ns >= r->now);
	r->now = now_ns;
	rep_acks_flush(r);
	store_kick(r->store);
}

uint64_t replica_deadline(const struct replica *r)
{
	uint64_t at = rep_assembly_deadline(r);

	for (uint32_t i = 0; i < r->nshards; i++) {
		const struct rshard *sh = &r->shards[i];

		if (sh->promise.phase == PROMISE_LEASE && sh->lease_until < at)
			at = sh->lease_until;
	}
	return at;
}

bool replica_idle(const struct replica *r)
{
	return r->ops_used == 0 && r->nacks == 0;
}

void replica_counters(const struct replica *r, struct replica_counters *out)
{
	*out = r->n;
}

uint64_t replica_lease_left(const struct replica *r, uint32_t shard, uint64_t now_ns)
{
	uint16_t i = r->index[shard];

	if (!i || r->shards[i - 1].lease_until <= now_ns)
		return 0;
	return r->shards[i - 1].lease_until - now_ns;
}

unsigned replica_areas(struct replica *r, struct iovec *areas, unsigned max)
{
	unsigned n = 0;

	for (; n < BUF_CLASSES && n < max; n++) {
		const struct buf_pool *p = &r->pool[n];

		areas[n] = (struct iovec){p->mem, (size_t)p->total * p->blocks * XBD_BLOCK_SIZE};
	}
	return n;
}

/* The shards on disk; each may have granted a lease just before the last stop: to the owner of the
 * promise or, if that was never answered, to the one before. */
static int load_shards(struct replica *r)
{
	uint32_t *ids = calloc(XBD_SHARDS_MAX, sizeof(*ids));
	size_t n;

	if (!ids)
		return -ENOMEM;
	n = store_shards(r->store, ids, XBD_SHARDS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct xbd_state *st = rep_state(r, ids[i]);
		struct rshard *sh = rep_shard_add(r, ids[i]);

		XBD_ASSERT(sh && st);
		sh->comp = st->comp;
		if (!uuid_zero(&st->owner))
			sh->lease_until = r->now + r->grace_ns;
		r->ops.fence(r->ctx, ids[i], st->prom);
	}
	free(ids);
	return 0;
}

struct replica *replica_new(const struct replica_config *cfg, const struct replica_ops *ops,
			    void *ctx, uint64_t now_ns)
{
	struct replica *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->cfg = *cfg;
	r->ops = *ops;
	r->ctx = ctx;
	r->store = cfg->store;
	r->now = r->start_ns = now_ns;
	r->ops_max = cfg->ops_max ? cfg->ops_max : 1024;
	if (!r->cfg.data_bytes)
		r->cfg.data_bytes = 64u << 20;
	r->lease_ns = (cfg->lease_ms ? cfg->lease_ms : 600) * NS_MS;
	r->grace_ns = r->lease_ns + r->lease_ns * (cfg->drift_pct ? cfg->drift_pct : 10) / 100;
	for (r->hash_mask = 16; r->hash_mask < r->ops_max; r->hash_mask *= 2)
		;
	r->hash_mask--;
	store_info(r->store, &r->info);
	r->shards_max =
		r->info.shards_max < XBD_SHARDS_MAX - 1 ? r->info.shards_max : XBD_SHARDS_MAX - 1;
	r->shards = calloc(r->shards_max, sizeof(*r->shards));
	if (!r->shards || rep_pools_init(r) || load_shards(r)) {
		replica_free(r);
		return NULL;
	}
	return r;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	rep_pools_free(r);
	free(r->shards);
	free(r);
}
