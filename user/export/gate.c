/* SPDX-License-Identifier: BSD-2-Clause */
#include "export/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

int gate_init(struct gate *g, struct co *co, uint64_t shard_bytes, uint64_t patience_ms,
	      uint32_t reqs_max)
{
	memset(g, 0, sizeof(*g));
	g->reqs = calloc(reqs_max, sizeof(*g->reqs));
	if (!g->reqs)
		return -ENOMEM;
	g->co = co;
	g->shard_bytes = shard_bytes;
	g->patience_ns = patience_ms * 1000000;
	g->waiting.prev = g->waiting.next = &g->waiting;
	g->refused_tail = &g->refused;
	for (uint32_t i = reqs_max; i-- > 0;) {
		g->reqs[i].gate = g;
		g->reqs[i].next = g->free;
		g->free = &g->reqs[i];
	}
	return 0;
}

void gate_free(struct gate *g)
{
	free(g->reqs);
	g->reqs = g->free = NULL;
}

static void end_orig(struct gate_req *r, int res)
{
	struct co_req *orig = r->orig;

	XBD_ASSERT(orig);
	r->orig = NULL;
	r->prev->next = r->next;
	r->next->prev = r->prev;
	orig->res = res;
	orig->done(orig);
}

static void on_done(struct co_req *copy)
{
	struct gate_req *r = (struct gate_req *)copy;

	if (r->orig)
		end_orig(r, copy->res);
	co_req_put(copy);
}

/* The coordinator needs the buffer no longer. */
static void on_release(struct co_req *copy)
{
	struct gate_req *r = (struct gate_req *)copy;
	struct co_req *orig = copy->owner;

	XBD_ASSERT(!r->orig);
	r->next = r->gate->free;
	r->gate->free = r;
	co_req_put(orig);
}

static bool shard_serves(const struct gate *g, const struct co_req *req)
{
	struct co_shard_status s;

	/* A FLUSH is about all shards; it waits for what was written, which ends either way. */
	if (req->kind == CO_FLUSH)
		return true;
	return !co_shard_status(g->co, (uint32_t)(req->offset / g->shard_bytes), &s) ||
	       s.phase == CO_SERVING || s.phase == CO_DEAD;
}

static void refuse(struct gate *g, struct co_req *req)
{
	req->next = NULL;
	*g->refused_tail = req;
	g->refused_tail = &req->next;
}

void gate_submit(struct gate *g, uint64_t now_ns, struct co_req *req)
{
	struct gate_req *r = g->free;

	if (g->shut && !shard_serves(g, req)) {
		refuse(g, req);
		return;
	}
	if (!r) {
		co_submit(g->co, now_ns, req);
		return;
	}
	g->free = r->next;
	r->orig = req;
	r->next = &g->waiting;
	r->prev = g->waiting.prev;
	r->prev->next = r->next->prev = r;
	req->refs++;
	r->copy = (struct co_req){
		.kind = req->kind,
		.refs = 1,
		.no_hole = req->no_hole,
		.len = req->len,
		.offset = req->offset,
		.buf = req->buf,
		.done = on_done,
		.release = on_release,
		.owner = req,
	};
	co_submit(g->co, now_ns, &r->copy);
}

void gate_serving(struct gate *g, uint64_t now_ns, bool serving)
{
	if (serving) {
		g->since_ns = 0;
		g->shut = false;
	} else if (!g->since_ns) {
		g->since_ns = now_ns;
	}
}

void gate_tick(struct gate *g, uint64_t now_ns)
{
	struct gate_req *r, *next;
	struct co_req *req;

	while ((req = g->refused)) {
		g->refused = req->next;
		if (!g->refused)
			g->refused_tail = &g->refused;
		req->res = -EIO;
		req->done(req);
	}
	if (g->shut || !g->since_ns || now_ns - g->since_ns < g->patience_ns)
		return;
	g->shut = true;
	for (r = g->waiting.next; r != &g->waiting; r = next) {
		next = r->next;
		if (!shard_serves(g, r->orig))
			end_orig(r, -EIO);
	}
}

uint64_t gate_deadline(const struct gate *g)
{
	if (g->refused)
		return 0;
	return g->since_ns && !g->shut ? g->since_ns + g->patience_ns : UINT64_MAX;
}
