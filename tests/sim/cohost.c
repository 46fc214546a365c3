/* SPDX-License-Identifier: BSD-2-Clause */
/* A host that runs one coordinator: from start to crash or to the end after being fenced. */
#include <string.h>

#include "base/assert.h"
#include "mstore.h"

static void on_send(void *ctx, uint64_t node_mask, const struct xbd_send *m)
{
	struct host *h = ctx;
	uint64_t hosts = 0;

	for (uint64_t left = node_mask; left; left &= left - 1) {
		unsigned node = (unsigned)__builtin_ctzll(left);

		hosts |= 1ull << (node == h->sim->opt.n ? HOST_WITNESS : node);
	}
	network_send(h->sim, h->id, hosts, m);
}

static void on_note(void *ctx, enum co_note what, uint32_t shard, uint8_t slot, uint64_t arg)
{
	static const char *const names[] = {"OPENING",	"SERVING",    "SUSPENDED",    "RESUMED",
					    "FENCED",	"REPLICA_UP", "REPLICA_DOWN", "SYNCED",
					    "RESYNCED", "BAD_BLOCK",  "FAILED",	      "BLANK"};
	struct host *h = ctx;
	struct sim *s = h->sim;
	int i = sim_shard_index(s, shard);

	TRACE(s, "co %u note %s shard %u slot %u %lu", h->inst, names[what], shard, slot,
	      (unsigned long)arg);
	if (what == CO_NOTE_SERVING) {
		XBD_ASSERT(i >= 0);
		s->total.opens++;
		h->served_at = s->now;
		checker_serving(&s->chk, h->inst, (unsigned)i, (uint32_t)arg);
	} else if (what == CO_NOTE_FENCED) {
		s->total.fenced++;
	}
}

static const struct co_ops cohost_ops = {on_send, on_note};

static struct host *free_address(struct sim *s)
{
	uint32_t first = prng_below(&s->fault, COS_MAX);

	for (uint32_t i = 0; i < COS_MAX; i++) {
		struct host *h = &s->host[HOST_CO0 + (first + i) % COS_MAX];

		if (!h->alive)
			return h;
	}
	return NULL;
}

static void fill_config(struct sim *s, struct co_config *cfg, struct co_shard_config *shards)
{
	for (unsigned i = 0; i < s->opt.shards; i++) {
		struct co_shard_config *sh = &shards[i];

		*sh = (struct co_shard_config){
			.id = s->shard_id[i], .blocks = s->shard_blocks[i], .rec = s->rec};
		sh->rec.blocks = s->shard_blocks[i];
		memset(sh->node, XBD_SLOT_NONE, sizeof(sh->node));
		for (uint8_t n = 0; n < s->opt.n; n++)
			sh->node[n] = n;
		if (s->opt.witness)
			sh->node[XBD_SLOT_WITNESS] = (uint8_t)s->opt.n;
		cfg->size += (uint64_t)s->shard_blocks[i] * XBD_BLOCK_SIZE;
	}
	cfg->shards = shards;
	cfg->nshards = s->opt.shards;
	cfg->shard_blocks = XBD_RANGE_BLOCKS;
	cfg->nnodes = s->opt.n + s->opt.witness;
	cfg->ops_max = s->opt.co_ops;
	cfg->lease_ms = s->opt.lease_ms;
	cfg->lease_every_ms = s->opt.lease_ms / 6 ? s->opt.lease_ms / 6 : 1;
	cfg->rto_min_us = s->opt.rto_us;
	cfg->lag_ms = s->opt.lag_ms;
	cfg->window_bytes = s->opt.window;
	cfg->prng_seed = prng_next(&s->fault);
}

struct host *cohost_start(struct sim *s)
{
	struct host *h = free_address(s);
	struct co_shard_config shards[SHARDS_MAX];
	struct co_config cfg = {0};

	/* some are kept for the last phase */
	if (!h || s->instances >= (s->liveness ? INSTANCES_MAX : INSTANCES_MAX / 2))
		return NULL;
	fill_config(s, &cfg, shards);
	h->inst = s->instances++;
	memset(cfg.owner.b, 0xc0, sizeof(cfg.owner.b));
	memcpy(cfg.owner.b, &h->inst, sizeof(h->inst));
	h->alive = true;
	h->gen++;
	h->dying = false;
	h->inflight = 0;
	h->served_at = 0;
	h->co = co_new(&cfg, &cohost_ops, h);
	XBD_ASSERT(h->co);
	TRACE(s, "co %u starts on host %u", h->inst, h->id);
	checker_instance(&s->chk, h->inst);
	co_open(h->co, host_now(h));
	clients_start(h);
	host_touch(h);
	return h;
}

void cohost_kill(struct host *h, const char *why)
{
	if (!h->alive)
		return;
	TRACE(h->sim, "co %u ends: %s", h->inst, why);
	checker_ends(&h->sim->chk, h->inst);
	co_free(h->co);
	h->co = NULL;
	clients_lost(h);
	host_stop(h);
}

void cohost_packet(struct host *h, uint8_t from, const struct xbd_msg *m)
{
	uint32_t node = from == HOST_WITNESS ? h->sim->opt.n : from;

	co_msg(h->co, host_now(h), node, m);
}

uint64_t cohost_deadline(const struct host *h)
{
	return co_deadline(h->co);
}

void cohost_turn(struct host *h)
{
	struct sim *s = h->sim;

	co_tick(h->co, host_now(h));
	if (!co_dead(h->co) || h->inflight)
		return;
	cohost_kill(h, "fenced");
	if (cohost_count(s, NULL) == 0)
		sim_after(s, prng_below(&s->fault, 200) * MS, EV_BOOT, HOST_CO0, 0, 0, NULL);
}

uint32_t cohost_count(struct sim *s, struct host **any)
{
	struct host *alive[COS_MAX];
	uint32_t n = 0;

	for (uint32_t i = HOST_CO0; i < HOSTS_MAX; i++)
		if (s->host[i].alive)
			alive[n++] = &s->host[i];
	if (any)
		*any = n ? alive[prng_below(&s->fault, n)] : NULL;
	return n;
}
