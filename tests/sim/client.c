/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients: random requests to coordinators, their outcomes to the checker. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "sim.h"

#define POOL	 96u
#define PAGE	 XBD_BLOCK_SIZE
#define PATIENCE (4500 * MS)

struct creq {
	struct co_req r;
	struct sim *sim;
	struct host *host;
	struct creq *next;
	struct cwrite *w;
	uint64_t inv, since;
	uint32_t block, n, from, to;
	bool busy, answered;
	uint8_t *mem;
};

struct clients {
	struct creq req[POOL];
	struct creq *free;
	uint32_t errors;
	bool finale;
	uint32_t scan; /* next block of the last reading */
	uint32_t active;
};

void clients_init(struct sim *s)
{
	struct clients *c = s->clients;

	if (!c) {
		c = s->clients = calloc(1, sizeof(*c));
		XBD_ASSERT(c);
		for (unsigned i = 0; i < POOL; i++) {
			c->req[i].mem = aligned_alloc(PAGE, CO_CHUNK);
			XBD_ASSERT(c->req[i].mem);
		}
	}
	c->free = NULL;
	for (unsigned i = 0; i < POOL; i++) {
		c->req[i].busy = false;
		c->req[i].next = c->free;
		c->free = &c->req[i];
	}
	c->errors = c->scan = c->active = 0;
	c->finale = false;
	s->ops_left = s->opt.ops;
}

void clients_free(struct sim *s)
{
	for (unsigned i = 0; s->clients && i < POOL; i++)
		free(s->clients->req[i].mem);
	free(s->clients);
}

static void give_back(struct creq *q)
{
	struct clients *c = q->sim->clients;

	XBD_ASSERT(q->busy);
	q->busy = false;
	q->next = c->free;
	c->free = q;
}

static void on_release(struct co_req *r)
{
	give_back((struct creq *)r);
}

static void plan_next(struct host *h)
{
	struct sim *s = h->sim;

	sim_after(s, prng_exp(&s->work, s->opt.think_us * US), EV_CLIENT, h->id, h->gen, 0, NULL);
}

static void check_read(struct sim *s, struct creq *q)
{
	s->total.reads++;
	for (uint32_t i = 0; i < q->n; i++)
		checker_read_done(&s->chk, q->host->inst, q->inv, q->block + i, i ? 0 : q->from,
				  i == q->n - 1 ? q->to : s->chk.cells, q->mem + (size_t)i * PAGE);
}

static void check_map(struct sim *s, struct creq *q)
{
	for (uint32_t i = 0; i < q->n; i++)
		if (q->mem[i] & CO_MAP_ZERO)
			checker_map_zero(&s->chk, q->host->inst, q->inv, q->block + i);
}

static const char *const kind_names[] = {"READ", "WRITE", "TRIM", "ZERO", "FLUSH", "MAP"};

/* Errors: being fenced is one; a damaged block may be another while faults last, or when the
 * coordinator has waited as long as it does for a store that may have a good copy. */
static void check_error(struct sim *s, const struct creq *q)
{
	bool damage = s->total.corruptions || s->opt.fail_ms;
	bool waited = s->now - q->since >= PATIENCE;

	if (q->r.res == -XBD_EFENCED)
		return;
	if (q->r.res == -EIO && damage && (!s->liveness || waited) &&
	    (q->r.kind == CO_READ || q->w))
		return;
	sim_fail(s, "co %u: %s of blocks %u+%u failed with %d", q->host->inst,
		 kind_names[q->r.kind], q->block, q->n, q->r.res);
}

static void on_done(struct co_req *r)
{
	struct creq *q = (struct creq *)r;
	struct sim *s = q->sim;

	if (q->answered || !q->busy)
		sim_fail(s, "co %u: a request was answered twice", q->host->inst);
	q->answered = true;
	TRACE(s, "co %u answers %s %u+%u res %d", q->host->inst, kind_names[r->kind], q->block,
	      q->n, r->res);
	if (r->res)
		check_error(s, q);
	if (r->res && s->clients->finale && q->block < s->clients->scan)
		s->clients->scan = q->block; /* the next coordinator reads it */
	if (q->w) {
		s->total.writes++;
		checker_write_done(&s->chk, q->w, r->res == 0);
	} else if (r->res == 0 && r->kind == CO_READ) {
		check_read(s, q);
	} else if (r->res == 0 && r->kind == CO_MAP) {
		check_map(s, q);
	}
	if (!q->w)
		checker_read_end(&s->chk, q->inv, q->block, q->n);
	q->host->inflight--;
	plan_next(q->host);
	co_req_put(r);
}

static void submit(struct host *h, struct creq *q, uint8_t kind)
{
	struct sim *s = h->sim;
	const struct checker *c = &s->chk;
	uint64_t base = (uint64_t)(s->first_block + q->block) * PAGE;

	q->r = (struct co_req){.kind = kind, .refs = 1, .done = on_done, .release = on_release};
	q->r.offset = base + c->edge[q->from];
	q->r.len = kind == CO_FLUSH ? 0 : (q->n - 1) * PAGE + c->edge[q->to] - c->edge[q->from];
	q->r.buf = kind == CO_READ || kind == CO_WRITE || kind == CO_MAP ? q->mem : NULL;
	q->r.no_hole = kind == CO_ZERO && prng_percent(&s->work, 50);
	if (kind == CO_FLUSH)
		q->r.offset = 0;
	q->host = h;
	q->since = s->now;
	h->inflight++;
	s->total.ops++;
	TRACE(s, "co %u client %s blocks %u+%u cells %u..%u write %lu", h->inst, kind_names[kind],
	      q->block, q->n, q->from, q->to, q->w ? (unsigned long)s->chk.nwrites : 0ul);
	co_submit(h->co, host_now(h), &q->r);
	host_touch(h);
}

static void issue_read(struct host *h, struct creq *q, uint8_t kind)
{
	struct sim *s = h->sim;

	if (kind == CO_READ)
		memset(q->mem, 0xa5, (size_t)q->n * PAGE);
	q->inv = checker_read(&s->chk, q->block, q->n);
	submit(h, q, kind);
}

static void issue_write(struct host *h, struct creq *q, uint8_t kind)
{
	struct sim *s = h->sim;

	q->w = checker_write(&s->chk, h->inst, q->block, q->n, q->from, q->to, kind != CO_WRITE);
	if (kind == CO_WRITE) {
		if (q->from || q->to != s->chk.cells)
			memset(q->mem, 0x5a, (size_t)q->n * PAGE);
		checker_fill(&s->chk, q->w, q->mem);
	}
	submit(h, q, kind);
}

static bool writable(const struct host *h, const struct creq *q, bool zero)
{
	const struct sim *s = h->sim;

	for (uint32_t i = 0; i < q->n; i++)
		if (zero ? !checker_may_zero(&s->chk, h->inst, q->block + i)
			 : !checker_may_write(&s->chk, q->block + i))
			return false;
	return true;
}

static void place(struct sim *s, struct creq *q)
{
	struct prng *p = &s->work;
	bool hot = s->opt.hot && prng_percent(p, 80);
	uint32_t room, start = s->first_block;

	q->block = prng_below(p, hot ? s->opt.hot : s->opt.blocks);
	if (hot && s->opt.shards == 2) /* around the border of the shards */
		q->block = s->chk.boundary - s->opt.hot / 2 + q->block;
	q->n = 1;
	if (prng_percent(p, 60))
		q->n = prng_range(p, 1, s->opt.max_blocks);
	room = XBD_OP_BLOCKS - (start + q->block) % XBD_OP_BLOCKS;
	if (room > s->opt.blocks - q->block)
		room = s->opt.blocks - q->block;
	if (q->n > room)
		q->n = room;
	q->from = 0;
	q->to = s->chk.cells;
	if (!prng_percent(p, s->opt.partial))
		return;
	q->from = prng_below(p, s->chk.cells);
	q->to = prng_range(p, q->n == 1 ? q->from + 1 : 1, s->chk.cells);
}

static struct creq *take(struct sim *s)
{
	struct creq *q = s->clients->free;

	if (!q)
		return NULL;
	s->clients->free = q->next;
	q->busy = true;
	q->answered = false;
	q->sim = s;
	q->w = NULL;
	q->inv = 0;
	return q;
}

static void random_op(struct host *h, struct creq *q)
{
	struct sim *s = h->sim;
	uint32_t dice = prng_below(&s->work, 100);

	place(s, q);
	if (dice < s->opt.maps) {
		q->from = 0;
		q->to = s->chk.cells;
		issue_read(h, q, dice % 2 ? CO_MAP : CO_FLUSH);
		return;
	}
	dice -= s->opt.maps;
	if (dice < s->opt.zeroes) {
		q->from = 0;
		q->to = s->chk.cells;
		while (q->n > 1 && !writable(h, q, true))
			q->n--;
		if (writable(h, q, true)) {
			issue_write(h, q, dice % 2 ? CO_TRIM : CO_ZERO);
			return;
		}
	}
	if (dice >= s->opt.zeroes + s->opt.reads && writable(h, q, false))
		issue_write(h, q, CO_WRITE);
	else
		issue_read(h, q, CO_READ);
}

static void scan(struct host *h, struct creq *q)
{
	struct sim *s = h->sim;
	struct clients *c = s->clients;
	uint32_t room = XBD_OP_BLOCKS - (s->first_block + c->scan) % XBD_OP_BLOCKS;

	q->block = c->scan;
	q->n = room < s->opt.blocks - c->scan ? room : s->opt.blocks - c->scan;
	q->from = 0;
	q->to = s->chk.cells;
	c->scan += q->n;
	issue_read(h, q, CO_READ);
}

void clients_act(struct host *h)
{
	struct sim *s = h->sim;
	struct clients *c = s->clients;
	bool scanning = c->finale && !s->ops_left && c->scan < s->opt.blocks;
	struct creq *q;

	if (!h->alive || h->inflight >= s->opt.depth || (!s->ops_left && !scanning))
		return;
	q = take(s);
	if (!q) {
		plan_next(h);
		return;
	}
	if (scanning) {
		scan(h, q);
		return;
	}
	s->ops_left--;
	random_op(h, q);
}

void clients_start(struct host *h)
{
	for (uint32_t i = 0; i < h->sim->opt.depth; i++)
		plan_next(h);
}

void clients_lost(struct host *h)
{
	struct sim *s = h->sim;

	for (unsigned i = 0; i < POOL; i++) {
		struct creq *q = &s->clients->req[i];

		if (!q->busy || q->host != h)
			continue;
		if (!q->w && !q->answered)
			checker_read_end(&s->chk, q->inv, q->block, q->n);
		if (s->clients->finale && !q->w && !q->answered && q->block < s->clients->scan)
			s->clients->scan = q->block;
		give_back(q);
	}
	h->inflight = 0;
}

void clients_finale(struct host *h)
{
	struct sim *s = h->sim;

	s->clients->finale = true;
	s->clients->scan = 0;
	s->ops_left = 8;
	if (h)
		clients_start(h);
}

bool clients_done(const struct sim *s)
{
	for (unsigned i = HOST_CO0; i < HOSTS_MAX; i++)
		if (s->host[i].alive && s->host[i].inflight)
			return false;
	return !s->ops_left && (!s->clients->finale || s->clients->scan >= s->opt.blocks);
}
