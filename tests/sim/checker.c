/* SPDX-License-Identifier: BSD-2-Clause */
#include "checker.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "pattern.h"

#define NEVER UINT64_MAX

/* One write in one block. */
struct part {
	struct cwrite *w;
	struct part *older;
	uint64_t id; /* what its content says; 0 = zeroes */
	uint32_t block;
	uint8_t mask; /* cells */
	uint8_t weak; /* cells that were zero before these zeroes: to see them proves nothing */
	bool seen;    /* in effect for certain */
	uint64_t first;
	uint64_t last[CELLS_MAX];
};

struct cwrite {
	uint64_t id, inv;
	uint32_t inst, block, n;
	bool zero, pending;
	struct cwrite *next, *prev; /* pending of its instance */
	struct part part[];
};

struct cblock {
	struct part *newest;
	uint32_t pending, reads;
	bool settled; /* nothing under way: cur is the content for certain */
	bool solo;    /* the pending write is the only one since it was settled */
	struct cwrite *zlock;
	uint64_t change; /* last begin or end of a write */
	struct part *cur[CELLS_MAX];
};

static uint32_t shard_of(const struct checker *c, uint32_t block)
{
	return block >= c->boundary;
}

static void fail(struct checker *c, const struct part *p, const struct part *q, uint32_t cell,
		 const char *what)
{
	char text[400];

	snprintf(text, sizeof(text),
		 "block %u cell %u: %s: write %lu of co %u [inv %lu first %lu last %lu]%s"
		 " against write %lu of co %u [inv %lu first %lu last %lu], time %lu",
		 p->block, cell, what, (unsigned long)p->w->id, p->w->inst,
		 (unsigned long)p->w->inv, (unsigned long)p->first, (unsigned long)p->last[cell],
		 p->w->pending ? " pending" : "", (unsigned long)q->w->id, q->w->inst,
		 (unsigned long)q->w->inv, (unsigned long)q->first, (unsigned long)q->last[cell],
		 (unsigned long)c->now);
	c->fail(c->ctx, text);
}

void checker_init(struct checker *c, struct arena *a, uint32_t blocks, uint32_t boundary,
		  uint32_t writes_max)
{
	struct cwrite *init = arena_zero(a, sizeof(*init) + blocks * sizeof(init->part[0]));

	c->arena = a;
	c->now = 0;
	c->blocks = blocks;
	c->boundary = boundary;
	c->block = arena_zero(a, blocks * sizeof(*c->block));
	c->parts_max = writes_max * CHECKER_WRITE_BLOCKS;
	c->part = arena_get(a, c->parts_max * sizeof(struct part *));
	c->nparts = c->nwrites = 0;
	c->nserves = 0;
	c->init = init;
	memset(c->inst, 0, sizeof(c->inst));
	memset(c->last_serve, 0, sizeof(c->last_serve));
	memset(c->last_server, 0xff, sizeof(c->last_server));
	init->n = blocks;
	init->zero = true;
	init->inst = UINT32_MAX;
	for (uint32_t b = 0; b < blocks; b++) {
		struct part *p = &init->part[b];

		*p = (struct part){.w = init, .block = b, .mask = 0xff, .seen = true};
		c->block[b].newest = p;
		c->block[b].settled = true;
		for (uint32_t i = 0; i < c->cells; i++)
			c->block[b].cur[i] = p;
	}
}

void checker_instance(struct checker *c, uint32_t inst)
{
	XBD_ASSERT(inst < CHECKER_INSTANCES);
	c->inst[inst] = (struct cinst){.cap = {NEVER, NEVER}};
}

static void pending_remove(struct checker *c, struct cwrite *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		c->inst[w->inst].pending = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->pending = false;
	for (uint32_t i = 0; i < w->n; i++) {
		struct cblock *b = &c->block[w->block + i];

		XBD_ASSERT(b->pending > 0);
		b->pending--;
		b->change = c->now;
		if (b->zlock == w)
			b->zlock = NULL;
	}
}

/* What becomes of a write whose outcome nobody tells. */
static void unsettle(struct checker *c, struct cwrite *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		c->block[w->block + i].settled = c->block[w->block + i].solo = false;
}

void checker_ends(struct checker *c, uint32_t inst)
{
	struct cwrite *w;

	c->now++;
	c->inst[inst].ended = true;
	while ((w = c->inst[inst].pending)) {
		pending_remove(c, w);
		unsettle(c, w);
	}
}

void checker_serving(struct checker *c, uint32_t inst, uint32_t shard, uint32_t epoch)
{
	struct cinst *me = &c->inst[inst];
	char text[160];

	c->now++;
	if (me->cap[shard] != NEVER && epoch > me->heir[shard]) {
		snprintf(text, sizeof(text),
			 "co %u serves shard %u again at epoch %u, though it had a successor", inst,
			 shard, epoch);
		c->fail(c->ctx, text);
	}
	for (uint32_t i = 0; i < c->nserves; i++) {
		const struct cserve *o = &c->serve[i];

		if (o->shard != shard || o->inst == inst)
			continue;
		if (o->epoch > epoch && o->at < me->cap[shard]) {
			me->cap[shard] = o->at;
			me->heir[shard] = o->epoch;
		}
		if (o->epoch < epoch && c->inst[o->inst].cap[shard] == NEVER) {
			c->inst[o->inst].cap[shard] = c->now;
			c->inst[o->inst].heir[shard] = epoch;
		}
		if (o->epoch == epoch) {
			snprintf(text, sizeof(text),
				 "co %u and co %u both serve shard %u at epoch %u", inst, o->inst,
				 shard, epoch);
			c->fail(c->ctx, text);
		}
	}
	me->epoch[shard] = epoch;
	XBD_ASSERT(c->nserves < sizeof(c->serve) / sizeof(c->serve[0]));
	c->serve[c->nserves++] = (struct cserve){c->now, inst, shard, epoch};
	c->last_serve[shard] = c->now;
	if (me->cap[shard] == NEVER)
		c->last_server[shard] = inst;
}

/* Latest moment at which a pending write may take effect. */
static uint64_t cap_of(const struct checker *c, const struct part *p)
{
	uint32_t shard = shard_of(c, p->block);
	const struct cinst *in;

	if (p->w == c->init)
		return NEVER;
	in = &c->inst[p->w->inst];
	return in->ended && !in->epoch[shard] ? 0 : in->cap[shard];
}

bool checker_may_write(const struct checker *c, uint32_t block)
{
	return !c->block[block].zlock;
}

bool checker_may_zero(const struct checker *c, uint32_t inst, uint32_t block)
{
	const struct cblock *b = &c->block[block];
	uint32_t shard = shard_of(c, block);

	/* not by one that may never serve: it would be taken for what others read */
	if (c->last_server[shard] != inst || c->inst[inst].cap[shard] != NEVER)
		return false;
	return b->settled && !b->pending && !b->reads && !b->zlock;
}

static uint8_t cells(uint32_t from, uint32_t to)
{
	return (uint8_t)((1u << to) - (1u << from));
}

static void part_begin(struct checker *c, struct cwrite *w, uint32_t i, uint8_t mask)
{
	struct part *p = &w->part[i];
	struct cblock *b = &c->block[w->block + i];

	*p = (struct part){.w = w, .older = b->newest, .block = w->block + i, .mask = mask};
	p->first = NEVER;
	if (!w->zero) {
		XBD_ASSERT(c->nparts < c->parts_max);
		c->part[c->nparts++] = p;
		p->id = c->nparts;
	}
	b->newest = p;
	b->solo = b->settled && b->pending == 0;
	if (!b->solo)
		b->settled = false;
	b->pending++;
	b->change = c->now;
	if (!w->zero)
		return;
	for (uint32_t k = 0; k < c->cells; k++)
		if (b->cur[k]->w->zero) {
			b->zlock = w;
			p->weak |= (uint8_t)(1u << k);
		}
}

struct cwrite *checker_write(struct checker *c, uint32_t inst, uint32_t block, uint32_t n,
			     uint32_t from, uint32_t to, bool zero)
{
	struct cwrite *w = arena_get(c->arena, sizeof(*w) + n * sizeof(w->part[0]));
	struct cinst *in = &c->inst[inst];

	XBD_ASSERT(n && block + n <= c->blocks);
	c->now++;
	*w = (struct cwrite){.id = ++c->nwrites,
			     .inv = c->now,
			     .inst = inst,
			     .block = block,
			     .n = n,
			     .zero = zero,
			     .pending = true,
			     .next = in->pending};
	if (in->pending)
		in->pending->prev = w;
	in->pending = w;
	for (uint32_t i = 0; i < n; i++)
		part_begin(c, w, i, cells(i ? 0 : from, i == n - 1 ? to : c->cells));
	return w;
}

void checker_fill(const struct checker *c, const struct cwrite *w, uint8_t *buf)
{
	for (uint32_t i = 0; i < w->n; i++) {
		const struct part *p = &w->part[i];
		uint32_t lo = (uint32_t)__builtin_ctz(p->mask);
		uint32_t hi = 32 - (uint32_t)__builtin_clz(p->mask);

		pattern_fill(buf + (size_t)i * PATTERN_BLOCK, p->id, c->edge[lo], c->edge[hi]);
	}
}

static uint64_t last_of(const struct part *p, uint32_t cell)
{
	return p->last[cell] > p->w->inv ? p->last[cell] : p->w->inv;
}

/* Do p and q contradict each other in this cell? */
static bool clash(const struct part *p, const struct part *q, uint32_t cell)
{
	uint64_t pf = p->first, pl = last_of(p, cell), qf = q->first, ql = last_of(q, cell);

	if (pf < pl && qf < ql)
		return (pf > qf ? pf : qf) < (pl < ql ? pl : ql);
	if (pf < pl)
		return pf < ql && qf < pl;
	if (qf < ql)
		return qf < pl && pf < ql;
	return false;
}

static void compare(struct checker *c, struct part *p, uint32_t cell)
{
	for (struct part *q = c->block[p->block].newest; q; q = q->older)
		if (q != p && q->seen && q->mask >> cell & 1 && clash(p, q, cell))
			fail(c, p, q, cell, "not linearizable");
}

/* Something proves p in effect at `at`. */
static void prove(struct checker *c, struct part *p, uint64_t at)
{
	uint64_t cap = cap_of(c, p);

	if (cap <= p->w->inv)
		fail(c, p, p, 0, "a dead write took effect");
	if (at > cap)
		at = cap;
	if (at < p->first)
		p->first = at;
	p->seen = true;
}

void checker_write_done(struct checker *c, struct cwrite *w, bool ok)
{
	c->now++;
	XBD_ASSERT(w->pending);
	pending_remove(c, w);
	if (!ok) {
		unsettle(c, w);
		return;
	}
	for (uint32_t i = 0; i < w->n; i++) {
		struct part *p = &w->part[i];
		struct cblock *b = &c->block[p->block];

		prove(c, p, c->now);
		for (uint32_t k = 0; k < c->cells; k++) {
			if (!(p->mask >> k & 1))
				continue;
			compare(c, p, k);
			if (b->solo)
				b->cur[k] = p;
		}
		b->solo = false;
	}
}

uint64_t checker_read(struct checker *c, uint32_t block, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		c->block[block + i].reads++;
	return ++c->now;
}

/* The newest write of zeroes that may be what a read of zeroes saw. */
static struct part *zero_part(struct checker *c, uint32_t block, uint32_t cell)
{
	struct part *p = c->block[block].newest;

	while (!(p->w->zero && p->mask >> cell & 1 && cap_of(c, p) > p->w->inv))
		p = p->older;
	return p;
}

static struct part *part_read(struct checker *c, uint32_t block, uint32_t cell, const uint8_t *data)
{
	uint64_t id = 0;
	char text[128];

	if (!pattern_find(data, c->edge[cell], c->edge[cell + 1], &id) || id > c->nparts ||
	    (id && c->part[id - 1]->block != block)) {
		snprintf(text, sizeof(text), "block %u cell %u: read content that nobody wrote",
			 block, cell);
		c->fail(c->ctx, text);
	}
	if (!id)
		return zero_part(c, block, cell);
	return c->part[id - 1];
}

/* Zeroes where there were zeroes before: nobody can tell which. */
static bool vague(const struct part *p, uint32_t cell)
{
	return !p->seen && p->weak >> cell & 1;
}

static void check_whole(struct checker *c, struct part *const *got, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		for (uint32_t k = from; k < to; k++)
			if (got[i] != got[k] && !vague(got[i], i) && got[i]->mask >> k & 1 &&
			    got[k]->first < got[i]->w->inv)
				fail(c, got[i], got[k], k, "a write is there in part");
}

static void settle(struct checker *c, uint32_t inst, uint64_t inv, uint32_t block,
		   struct part *const *got)
{
	struct cblock *b = &c->block[block];
	uint32_t shard = shard_of(c, block);

	if (b->pending || inv <= b->change || inv <= c->last_serve[shard] ||
	    inst != c->last_server[shard])
		return;
	b->settled = true;
	memcpy(b->cur, got, sizeof(b->cur));
}

void checker_read_done(struct checker *c, uint32_t inst, uint64_t inv, uint32_t block,
		       uint32_t from, uint32_t to, const uint8_t *data)
{
	struct part *got[CELLS_MAX] = {0};

	c->now++;
	for (uint32_t k = from; k < to; k++) {
		got[k] = part_read(c, block, k, data);
		if (!(got[k]->mask >> k & 1))
			fail(c, got[k], got[k], k, "read content in a place nobody wrote it to");
	}
	check_whole(c, got, from, to);
	for (uint32_t k = from; k < to; k++) {
		if (vague(got[k], k))
			continue;
		prove(c, got[k], c->now);
		if (inv > got[k]->last[k])
			got[k]->last[k] = inv;
	}
	for (uint32_t k = from; k < to; k++)
		if (!vague(got[k], k))
			compare(c, got[k], k);
	if (from == 0 && to == c->cells)
		settle(c, inst, inv, block, got);
}

void checker_read_end(struct checker *c, uint64_t inv, uint32_t block, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		XBD_ASSERT(c->block[block + i].reads > 0);
		c->block[block + i].reads--;
	}
}

void checker_map_zero(struct checker *c, uint32_t inst, uint64_t inv, uint32_t block)
{
	struct cblock *b = &c->block[block];

	if (!b->settled || b->pending || inv <= b->change)
		return;
	for (uint32_t k = 0; k < c->cells; k++)
		if (!b->cur[k]->w->zero)
			fail(c, b->cur[k], b->cur[k], k, "a map query called it zero");
}
