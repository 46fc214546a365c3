/* SPDX-License-Identifier: BSD-2-Clause */
/* Start, dispatch, time, status. */
#include "coordinator/coordinator.h"

#include <stdlib.h>
#include <string.h>

#include "coordinator/internal.h"

static void asked(struct cshard *sh, uint8_t slots)
{
	FOR_SLOTS (sh, i)
		if ((slots >> i & 1) && !sh->rep[i].asked_at)
			sh->rep[i].asked_at = sh->co->now;
}

void co_send_to(struct cshard *sh, uint8_t slots, const struct xbd_send *s)
{
	struct co *co = sh->co;
	uint64_t nodes = 0;

	FOR_SLOTS (sh, i) {
		if (!(slots >> i & 1))
			continue;
		nodes |= 1ull << sh->rep[i].node;
		co->n.sends++;
	}
	asked(sh, slots);
	if (nodes)
		co->ops.send(co->ctx, nodes, s);
}

void co_note(struct cshard *sh, enum co_note what, uint8_t slot, uint64_t arg)
{
	if (sh->co->ops.note)
		sh->co->ops.note(sh->co->ctx, what, sh->id, slot, arg);
}

uint64_t co_random(struct co *co)
{
	uint64_t z = co->prng += 0x9e3779b97f4a7c15ull; /* splitmix64, Vigna 2015 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t co_reqno(struct cshard *sh)
{
	return XBD_VER(sh->epoch, ++sh->reqno & XBD_SEQ_MAX);
}

/* The outcome of a request; its `done` runs in the next co_tick. */
void co_finish(struct co *co, struct co_req *req, int res)
{
	req->res = res;
	req->next = NULL;
	if (co->done_tail)
		co->done_tail->next = req;
	else
		co->done_head = req;
	co->done_tail = req;
}

static void deliver(struct co *co)
{
	while (co->done_head) {
		struct co_req *req = co->done_head;

		co->done_head = req->next;
		if (!co->done_head)
			co->done_tail = NULL;
		req->done(req);
		co_req_put(req);
	}
}

/* Every operation ends with an error: this coordinator may not touch the volume any more. */
static void fail_all(struct co *co)
{
	struct co_req *req = co->wait_head;

	co->wait_head = co->wait_tail = NULL;
	co->reads_head = co->reads_tail = NULL;
	while (req) {
		struct co_req *next = req->next;

		co_finish(co, req, -XBD_EFENCED);
		req = next;
	}
	for (uint32_t i = 0; i < co->cfg.ops_max; i++) {
		struct cop *op = &co->ops_mem[i];

		if (op->phase == COP_FREE)
			continue;
		if (op->phase != COP_COMPLETE)
			co_finish(co, op->req, -XBD_EFENCED);
		else
			co_req_put(op->req);
		co_op_unlink(op);
		co_op_put(co, op);
	}
	co->blocked_head = co->blocked_tail = NULL;
}

void co_fenced(struct cshard *sh, uint32_t epoch)
{
	struct co *co = sh->co;

	if (co->dead)
		return;
	co->dead = true;
	co->dead_epoch = epoch;
	fail_all(co);
	for (uint32_t i = 0; i < co->cfg.nshards; i++) {
		co->shards[i].phase = CO_DEAD;
		co->shards[i].head = co->shards[i].tail = NULL;
		co_jobs_reset(&co->shards[i]);
	}
	co_note(sh, CO_NOTE_FENCED, XBD_SLOT_NONE, epoch);
}

static void note_rtt(struct cshard *sh, struct rep *rep, const struct xbd_msg *m)
{
	struct co *co = sh->co;
	uint64_t sent = stamp_time(co->now, m->h.stamp & XBD_STAMP_MASK);
	uint64_t rtt = co->now - sent, dev;

	if (m->h.type != XBD_T_ACK && m->h.type != XBD_T_LEASED && m->h.type != XBD_T_DATA)
		return;
	if (rtt > 60000 * NS_MS)
		return;
	/* RFC 6298: smoothed round trip and its variation */
	if (!rep->srtt) {
		rep->srtt = rtt;
		rep->rttvar = rtt / 2;
	} else {
		dev = rtt > rep->srtt ? rtt - rep->srtt : rep->srtt - rtt;
		rep->rttvar = (3 * rep->rttvar + dev) / 4;
		rep->srtt = (7 * rep->srtt + rtt) / 8;
	}
	rep->rto = rep->srtt + 4 * rep->rttvar;
	if (rep->rto < co->rto_min_ns)
		rep->rto = co->rto_min_ns;
	if (rep->rto > RTO_MAX_NS)
		rep->rto = RTO_MAX_NS;
}

static void heard(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct rep *rep = &sh->rep[slot];

	rep->asked_at = 0;
	note_rtt(sh, rep, m);
	if (rep->alive)
		return;
	rep->alive = true;
	if (sh->phase == CO_SERVING && rep->replied) {
		co_note(sh, CO_NOTE_REPLICA_UP, slot, 0);
		co_write_rep_up(sh, slot);
	}
}

/* The slot of a shard that lives on node `node`. */
static uint8_t slot_of(const struct cshard *sh, uint32_t node)
{
	FOR_SLOTS (sh, i)
		if (sh->rep[i].node == node)
			return i;
	return XBD_SLOT_NONE;
}

static struct cshard *find_shard(struct co *co, uint32_t id)
{
	for (uint32_t i = 0; i < co->cfg.nshards; i++)
		if (co->shards[i].id == id)
			return &co->shards[i];
	return NULL;
}

static void dispatch(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	switch (m->h.type) {
	case XBD_T_ACK:
		co_on_ack(sh, slot, m);
		break;
	case XBD_T_DATA:
		if (!co_job_data(sh, slot, m))
			co_on_data(sh, slot, m);
		break;
	case XBD_T_REPAIRED:
		co_job_repaired(sh, slot, m);
		break;
	case XBD_T_LIST_R:
		if (!co_job_list(sh, slot, m))
			co_on_map(sh, slot, m);
		break;
	case XBD_T_REGIONS_R:
		co_on_regions(sh, slot, m);
		break;
	case XBD_T_LEASED:
		co_on_leased(sh, slot, m);
		break;
	default:
		co_on_control(sh, slot, m);
		break;
	}
}

void co_msg(struct co *co, uint64_t now_ns, uint32_t node, const struct xbd_msg *m)
{
	struct cshard *sh = find_shard(co, m->h.shard);
	uint8_t slot = sh ? slot_of(sh, node) : XBD_SLOT_NONE;

	XBD_ASSERT(now_ns >= co->now);
	co->now = now_ns;
	if (co->dead || slot == XBD_SLOT_NONE)
		return;
	if (m->h.type == XBD_T_STALE) {
		co_on_stale(sh, slot, m);
		return;
	}
	if (XBD_VER_EPOCH(m->h.ver) != sh->epoch) {
		co->n.dups++;
		return;
	}
	heard(sh, slot, m);
	if (m->h.type == XBD_T_PROMISED)
		co_on_promised(sh, slot, m);
	else
		dispatch(sh, slot, m);
}

static void shard_tick(struct cshard *sh)
{
	if (sh->phase == CO_DEAD)
		return;
	co_open_tick(sh);
	if (sh->phase == CO_DEAD)
		return;
	co_scan_tick(sh);
	co_lease_tick(sh);
	co_write_tick(sh);
	co_jobs_tick(sh);
}

void co_tick(struct co *co, uint64_t now_ns)
{
	XBD_ASSERT(now_ns >= co->now);
	co->now = now_ns;
	for (uint32_t i = 0; i < co->cfg.nshards && !co->dead; i++)
		shard_tick(&co->shards[i]);
	if (!co->dead) {
		co_read_tick(co);
		co_unblock(co);
		co_drain_waiting(co);
	}
	deliver(co);
}

uint64_t co_deadline(const struct co *co)
{
	uint64_t at = UINT64_MAX;

	if (co->done_head || (co->unblock && co->blocked_head))
		return 0;
	if (co->dead)
		return at;
	at = co_read_deadline(co);
	for (uint32_t i = 0; i < co->cfg.nshards; i++) {
		const struct cshard *sh = &co->shards[i];

		at = min_u64(at, co_open_deadline(sh));
		at = min_u64(at, co_scan_deadline(sh));
		at = min_u64(at, co_write_deadline(sh));
		at = min_u64(at, co_jobs_deadline(sh));
		at = min_u64(at, sh->lease_at);
	}
	return at;
}

static int shard_init(struct co *co, uint32_t index, const struct co_shard_config *cfg)
{
	struct cshard *sh = &co->shards[index];
	size_t words;

	*sh = (struct cshard){.co = co, .index = index, .id = cfg->id, .blocks = cfg->blocks};
	sh->cat = cfg->rec;
	sh->phase = CO_DEAD;
	sh->seen_epoch = cfg->rec.epoch ? cfg->rec.epoch : 1;
	sh->lease_at = UINT64_MAX;
	sh->gather_ns = GATHER_NS;
	sh->nregions = (cfg->blocks + XBD_REGION_BLOCKS - 1) / XBD_REGION_BLOCKS;
	words = (sh->nregions + 63) / 64;
	sh->val = calloc(cfg->blocks, sizeof(*sh->val));
	sh->ring = calloc(co->ring_size, sizeof(struct cop *));
	sh->jobs = calloc(JOBS_MAX, sizeof(*sh->jobs));
	if (!sh->val || !sh->ring || !sh->jobs)
		return -ENOMEM;
	co->mem_bytes += cfg->blocks * 8ull + co->ring_size * 8ull + JOBS_MAX * sizeof(*sh->jobs);
	for (unsigned k = 0; k < JOBS_MAX; k++) {
		sh->jobs[k].buf = aligned_alloc(XBD_BLOCK_SIZE, XBD_BLOCK_SIZE);
		if (!sh->jobs[k].buf)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < XBD_SLOTS; i++) {
		struct rep *rep = &sh->rep[i];

		rep->node = cfg->node[i];
		rep->rto = co->rto_min_ns * 4;
		rep->lag = calloc(words, sizeof(*rep->lag));
		if (!rep->lag)
			return -ENOMEM;
	}
	return 0;
}

static bool config_ok(const struct co_config *cfg)
{
	uint64_t blocks = cfg->size >> XBD_BLOCK_SHIFT;

	if (!cfg->nshards || !cfg->nnodes || cfg->nnodes > CO_NODES_MAX || !cfg->size ||
	    cfg->size % XBD_BLOCK_SIZE || !cfg->shard_blocks ||
	    cfg->shard_blocks > XBD_SHARD_BLOCKS_MAX)
		return false;
	if (cfg->nshards > 1 && cfg->shard_blocks % XBD_OP_BLOCKS)
		return false;
	for (uint32_t i = 0; i < cfg->nshards; i++) {
		const struct co_shard_config *s = &cfg->shards[i];

		if (s->id >= XBD_SHARDS_MAX || s->rec.n < 1 || s->rec.n > XBD_REPLICAS_MAX)
			return false;
		if (s->blocks != (blocks < cfg->shard_blocks ? blocks : cfg->shard_blocks))
			return false;
		blocks -= s->blocks;
		for (unsigned k = 0; k < XBD_SLOTS; k++)
			if (s->node[k] != XBD_SLOT_NONE && s->node[k] >= cfg->nnodes)
				return false;
	}
	return blocks == 0;
}

static int alloc_tables(struct co *co)
{
	const struct co_config *cfg = &co->cfg;

	for (co->ring_size = 64; co->ring_size < 4 * cfg->ops_max; co->ring_size *= 2)
		;
	co->shards = calloc(cfg->nshards, sizeof(*co->shards));
	co->ops_mem = calloc(cfg->ops_max, sizeof(*co->ops_mem));
	co->hash = calloc(HASH_SIZE, sizeof(struct hlink *));
	co->reads_by_no = calloc(co->ring_size, sizeof(struct cop *));
	co->scratch_mem = aligned_alloc(XBD_BLOCK_SIZE, SCRATCH_MAX * 2 * XBD_BLOCK_SIZE);
	if (!co->shards || !co->ops_mem || !co->hash || !co->reads_by_no || !co->scratch_mem)
		return -ENOMEM;
	for (; co->nscratch < SCRATCH_MAX; co->nscratch++)
		co->scratch_free[co->nscratch] =
			co->scratch_mem + (size_t)co->nscratch * 2 * XBD_BLOCK_SIZE;
	co->mem_bytes = cfg->nshards * sizeof(*co->shards) + cfg->ops_max * sizeof(*co->ops_mem);
	for (uint32_t i = 0; i < cfg->ops_max; i++) {
		co->ops_mem[i].next = co->free_ops;
		co->free_ops = &co->ops_mem[i];
	}
	for (uint32_t i = 0; i < cfg->nshards; i++) {
		int err = shard_init(co, i, &cfg->shards[i]);

		if (err)
			return err;
	}
	return 0;
}

struct co *co_new(const struct co_config *cfg, const struct co_ops *ops, void *ctx)
{
	struct co *co;

	if (!config_ok(cfg))
		return NULL;
	co = calloc(1, sizeof(*co));
	if (!co)
		return NULL;
	co->cfg = *cfg;
	co->ops = *ops;
	co->ctx = ctx;
	co->prng = cfg->prng_seed;
	if (!co->cfg.ops_max)
		co->cfg.ops_max = 4096;
	if (!co->cfg.window_bytes)
		co->cfg.window_bytes = 32u << 20;
	co->lease_ns = (cfg->lease_ms ? cfg->lease_ms : 600) * NS_MS;
	co->lease_every_ns = (cfg->lease_every_ms ? cfg->lease_every_ms : 100) * NS_MS;
	co->rto_min_ns = (cfg->rto_min_us ? cfg->rto_min_us : 2000) * NS_US;
	co->lag_ns = (cfg->lag_ms ? cfg->lag_ms : 1000) * NS_MS;
	if (alloc_tables(co)) {
		co_free(co);
		return NULL;
	}
	co->cfg.shards = NULL;
	return co;
}

void co_free(struct co *co)
{
	if (!co)
		return;
	for (uint32_t i = 0; co->shards && i < co->cfg.nshards; i++) {
		struct cshard *sh = &co->shards[i];

		for (unsigned k = 0; sh->jobs && k < JOBS_MAX; k++)
			free(sh->jobs[k].buf);
		for (unsigned k = 0; k < XBD_SLOTS; k++)
			free(sh->rep[k].lag);
		free(sh->val);
		free(sh->ring);
		free(sh->jobs);
	}
	free(co->shards);
	free(co->ops_mem);
	free(co->hash);
	free(co->reads_by_no);
	free(co->scratch_mem);
	free(co);
}

void co_open(struct co *co, uint64_t now_ns)
{
	XBD_ASSERT(now_ns >= co->now);
	co->now = now_ns;
	for (uint32_t i = 0; i < co->cfg.nshards; i++)
		co_open_shard(&co->shards[i], co->shards[i].seen_epoch + 1);
}

void co_close(struct co *co, uint64_t now_ns)
{
	XBD_ASSERT(now_ns >= co->now);
	co->now = now_ns;
	for (uint32_t i = 0; i < co->cfg.nshards; i++)
		if (co->shards[i].phase == CO_SERVING)
			co_release(&co->shards[i]);
}

bool co_serving(const struct co *co)
{
	for (uint32_t i = 0; i < co->cfg.nshards; i++)
		if (co->shards[i].phase != CO_SERVING)
			return false;
	return true;
}

bool co_dead(const struct co *co)
{
	return co->dead;
}

void co_counters(const struct co *co, struct co_counters *out)
{
	*out = co->n;
}

uint64_t co_mem_bytes(const struct co *co)
{
	return co->mem_bytes;
}
