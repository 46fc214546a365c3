/* SPDX-License-Identifier: BSD-2-Clause */
/* What connects coordinator, transport and NBD server: all of it is in these few functions. */
#include "base/assert.h"
#include "export/private.h"
#include "io/log.h"

static void co_send(void *ctx, uint64_t node_mask, const struct xbd_send *s)
{
	struct export *x = ctx;
	uint32_t peers[CO_NODES_MAX];
	unsigned n = 0;

	for (uint64_t m = node_mask; m; m &= m - 1) {
		unsigned node = (unsigned)__builtin_ctzll(m);

		XBD_ASSERT(node < x->args->nnodes);
		peers[n++] = x->peer[node];
	}
	if (n)
		net_send(x->net, peers, n, s);
}

static void co_note(void *ctx, enum co_note what, uint32_t shard, uint8_t slot, uint64_t arg)
{
	struct export *x = ctx;

	x->changed = true;
	export_note(x, what, shard, slot, arg);
}

const struct co_ops export_co_ops = {.send = co_send, .note = co_note};

static void rx(void *ctx, const struct xbd_msg *m)
{
	struct export *x = ctx;
	uint8_t node = m->from < NET_PEERS_MAX ? x->node_of_peer[m->from] : UINT8_MAX;

	if (node == UINT8_MAX || !x->co) {
		x->strangers++;
		return;
	}
	co_msg(x->co, loop_now(&x->loop), node, m);
	x->fresh = true;
}

const struct net_ops export_net_ops = {.rx = rx};

void export_nbd_submit(void *ctx, struct co_req *req)
{
	struct export *x = ctx;

	if (x->gated)
		gate_submit(&x->gate, loop_now(&x->loop), req);
	else
		co_submit(x->co, loop_now(&x->loop), req);
	x->fresh = true;
}

bool export_serves(const struct export *x)
{
	struct co_shard_status s;

	/* co_serving() does not look at the quorum of the moment. */
	for (uint32_t i = 0; i < x->args->nshards; i++)
		if (co_shard_status(x->co, i, &s) && s.phase != CO_SERVING)
			return false;
	return true;
}

/* Requests that need not wait any longer. Returns when to look again. */
static uint64_t gate_run(struct export *x)
{
	bool shut = x->gate.shut;

	if (x->changed)
		gate_serving(&x->gate, loop_now(&x->loop), export_serves(x) || co_dead(x->co));
	x->changed = false;
	gate_tick(&x->gate, loop_now(&x->loop));
	if (x->gate.shut && !shut)
		log_warn("no majority of replicas for %u ms: requests fail until there is one",
			 x->args->conf->export.no_quorum_ms);
	return gate_deadline(&x->gate);
}

void export_tick(struct export *x)
{
	uint64_t deadline, other;

	if (!x->co)
		return;
	if (x->fresh || co_deadline(x->co) <= loop_now(&x->loop)) {
		x->fresh = false;
		co_tick(x->co, loop_now(&x->loop));
	}
	deadline = co_deadline(x->co);
	other = x->gated ? gate_run(x) : UINT64_MAX;
	if (other < deadline)
		deadline = other;
	if (deadline == UINT64_MAX)
		loop_timer_cancel(&x->loop, &x->timer);
	else if (!x->timer.heap_index || x->timer.deadline_ns != deadline)
		loop_timer_set(&x->loop, &x->timer, deadline);
}
