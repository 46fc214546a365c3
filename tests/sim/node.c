/* SPDX-License-Identifier: BSD-2-Clause */
/* A storage node: a replica over a store. */
#include <string.h>

#include "base/assert.h"
#include "mstore.h"

static void on_send(void *ctx, uint32_t to, const struct xbd_send *m)
{
	struct host *h = ctx;

	XBD_ASSERT(to < HOSTS_MAX);
	network_send(h->sim, h->id, 1ull << to, m);
}

static void on_fence(void *ctx, uint32_t shard, uint32_t epoch)
{
	struct host *h = ctx;
	int i = sim_shard_index(h->sim, shard);

	XBD_ASSERT(i >= 0);
	if (epoch < h->fence[i])
		sim_fail(h->sim, "node %u: fence of shard %u fell from %u to %u", h->id, shard,
			 h->fence[i], epoch);
	h->fence[i] = epoch;
}

static void on_note(void *ctx, enum replica_note what, uint32_t shard, uint64_t arg)
{
	static const char *const names[] = {"PROMISED", "SYNCED",    "CREATED",
					    "RETIRED",	"BAD_BLOCK", "DISK"};
	struct host *h = ctx;

	TRACE(h->sim, "node %u note %s shard %u %lu", h->id, names[what], shard,
	      (unsigned long)arg);
}

static const struct replica_ops node_ops = {on_send, on_fence, on_note};

static void ready(struct host *h)
{
	struct sim *s = h->sim;
	struct replica_config cfg = {
		.store = h->store,
		.blocks = 1u << 20,
		.lease_ms = s->opt.lease_ms,
		.drift_pct = 10,
		.ops_max = s->opt.node_ops,
		.data_bytes = (uint64_t)s->opt.node_kib << 10,
		.witness = h->id == HOST_WITNESS,
	};

	snprintf(cfg.name, sizeof(cfg.name), "node%u", h->id);
	h->rep = replica_new(&cfg, &node_ops, h, host_now(h));
	XBD_ASSERT(h->rep);
	TRACE(s, "node %u up, boot %lu", h->id, (unsigned long)h->disk->boot);
	host_touch(h);
}

void node_boot(struct host *h)
{
	if (h->alive)
		return;
	h->alive = true;
	h->gen++;
	memset(h->fence, 0, sizeof(h->fence));
	shim_boot(h, ready);
}

void node_crash(struct host *h)
{
	if (!h->alive)
		return;
	TRACE(h->sim, "node %u crashes", h->id);
	h->sim->total.crashes++;
	shim_crash(h);
	replica_free(h->rep);
	h->rep = NULL;
	host_stop(h);
}

void node_packet(struct host *h, const struct xbd_msg *m)
{
	if (h->rep)
		replica_msg(h->rep, host_now(h), m);
}

uint64_t node_deadline(const struct host *h)
{
	return h->rep ? replica_deadline(h->rep) : UINT64_MAX;
}

void node_event(struct host *h, bool turn)
{
	if (!h->rep) {
		if (h->store)
			store_kick(h->store);
		return;
	}
	if (turn)
		replica_flush(h->rep, host_now(h));
	else
		replica_tick(h->rep, host_now(h));
}
