/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "stores.h"

/* A message on its way to the coordinator. */
struct answer {
	struct xbd_hdr h;
	uint32_t node;
	struct answer *next;
	uint8_t body[];
};

struct xbd_uuid world_uuid(uint8_t b)
{
	struct xbd_uuid u;

	memset(u.b, b, sizeof(u.b));
	return u;
}

static void copy_body(struct held *h, const struct xbd_send *s)
{
	if (s->body_len) {
		h->body = malloc(s->body_len);
		XBD_ASSERT(h->body);
		memcpy(h->body, s->body, s->body_len);
		h->s.body = h->body;
	}
	if (s->crc) {
		memcpy(h->crc, s->crc, s->count * sizeof(*s->crc));
		h->s.crc = h->crc;
	}
	if (s->skip) {
		h->skip = *s->skip;
		h->s.skip = &h->skip;
	}
}

static void to_node(struct world *w, uint32_t node, const struct xbd_send *s)
{
	struct pstore *p = &w->store[node];
	struct held *h, **end = &w->held;

	XBD_ASSERT(s->shard == SHARD && s->sender == XBD_SLOT_NONE);
	p->got[s->type]++;
	if (p->silent)
		return;
	h = calloc(1, sizeof(*h));
	XBD_ASSERT(h);
	h->node = node;
	h->s = *s;
	copy_body(h, s);
	if (!(p->hold >> s->type & 1)) {
		world_answer(w, h);
		return;
	}
	while (*end)
		end = &(*end)->next;
	*end = h;
}

static void on_send(void *ctx, uint64_t mask, const struct xbd_send *s)
{
	struct world *w = ctx;

	XBD_ASSERT(mask && mask < 1u << NODES);
	for (uint32_t i = 0; i < NODES; i++)
		if (mask >> i & 1)
			to_node(w, i, s);
}

static void on_note(void *ctx, enum co_note what, uint32_t shard, uint8_t slot, uint64_t arg)
{
	struct world *w = ctx;

	w->notes[what]++;
	w->note_arg[what] = arg;
}

void world_new_co(struct world *w)
{
	static const struct co_ops ops = {on_send, on_note};

	co_free(w->co);
	w->co = co_new(&w->cfg, &ops, w);
	XBD_ASSERT(w->co);
}

static struct xbd_record first_record(void)
{
	struct xbd_record rec = {.bal = 1, .epoch = 1, .n = 3, .d_mask = 7, .w = 2};

	for (uint8_t i = 0; i < 3; i++)
		rec.member[i] = rec.base[i] = world_uuid(0x10 + i);
	rec.blocks = BLOCKS;
	return rec;
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	XBD_ASSERT(w);
	w->now = 7000 * MS;
	w->answers_end = &w->answers;
	w->shard = (struct co_shard_config){.id = SHARD, .blocks = BLOCKS, .rec = first_record()};
	for (unsigned i = 0; i < XBD_SLOTS; i++)
		w->shard.node[i] = i < NODES ? (uint8_t)i : XBD_SLOT_NONE;
	for (uint32_t i = 0; i < NODES; i++)
		pstore_init(&w->store[i], i, &w->shard.rec, true);
	w->cfg = (struct co_config){.size = (uint64_t)BLOCKS * BLOCK,
				    .shard_blocks = BLOCKS,
				    .nshards = 1,
				    .nnodes = NODES,
				    .shards = &w->shard,
				    .owner = world_uuid(0xa1),
				    .ops_max = 64,
				    .prng_seed = 42};
	world_new_co(w);
	*state = w;
	return 0;
}

int world_setup_open(void **state)
{
	struct world *w;

	world_setup(state);
	w = *state;
	co_open(w->co, w->now);
	world_step(w);
	XBD_ASSERT(co_serving(w->co));
	world_run(w, 10 * MS); /* the first leases */
	return 0;
}

static void forget_answers(struct world *w)
{
	while (w->answers) {
		struct answer *a = w->answers;

		w->answers = a->next;
		free(a);
	}
	w->answers_end = &w->answers;
}

static void forget_want(struct want *q)
{
	free(q->r.buf);
	free(q);
}

int world_teardown(void **state)
{
	struct world *w = *state;

	co_free(w->co);
	forget_answers(w);
	while (w->held) {
		struct held *h = w->held;

		w->held = h->next;
		world_drop(h);
	}
	for (unsigned i = 0; i < w->nwants; i++)
		forget_want(w->wants[i]);
	for (uint32_t i = 0; i < NODES; i++)
		pstore_free(&w->store[i]);
	free(w);
	return 0;
}

/* Something the coordinator owes: an outcome, a buffer, a volume that serves. */
static bool owes(const struct world *w)
{
	for (unsigned i = 0; i < w->nwants; i++)
		if (!w->wants[i]->done || !w->wants[i]->released)
			return true;
	return !co_serving(w->co);
}

static void check_deadline(const struct world *w)
{
	uint64_t at = co_deadline(w->co);

	if (co_dead(w->co)) {
		XBD_ASSERT(at == UINT64_MAX);
		return;
	}
	XBD_ASSERT(!owes(w) || at != UINT64_MAX);
}

void world_step(struct world *w)
{
	unsigned turns = 0;

	do {
		while (w->answers) {
			struct answer *a = w->answers;
			struct xbd_msg m = {.h = a->h, .body = a->body, .body_len = a->h.len};

			w->answers = a->next;
			if (!w->answers)
				w->answers_end = &w->answers;
			co_msg(w->co, w->now, a->node, &m);
			free(a);
		}
		co_tick(w->co, w->now);
		XBD_ASSERT(++turns < 100000); /* it spins */
	} while (w->answers || co_deadline(w->co) <= w->now);
	check_deadline(w);
}

void world_run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	world_step(w);
	while (w->now < end) {
		uint64_t at = co_deadline(w->co);

		w->now = at < end ? at : end;
		world_step(w);
	}
}

static void on_done(struct co_req *r)
{
	struct want *q = (struct want *)r;

	XBD_ASSERT(!q->done);
	q->done = true;
	co_req_put(r);
}

static void on_release(struct co_req *r)
{
	struct want *q = (struct want *)r;

	XBD_ASSERT(q->done && !q->released);
	q->released = true;
}

struct want *world_submit(struct world *w, enum co_kind kind, uint64_t offset, uint32_t len,
			  uint8_t tag)
{
	struct want *q = calloc(1, sizeof(*q));
	size_t head = offset % BLOCK, room = (head + len + BLOCK - 1) / BLOCK * BLOCK;

	XBD_ASSERT(q && w->nwants < sizeof(w->wants) / sizeof(w->wants[0]));
	q->w = w;
	q->r = (struct co_req){.kind = (uint8_t)kind,
			       .refs = 1,
			       .len = len,
			       .offset = offset,
			       .done = on_done,
			       .release = on_release};
	if (kind == CO_READ || kind == CO_WRITE || kind == CO_MAP) {
		q->r.buf = aligned_alloc(BLOCK, room);
		XBD_ASSERT(q->r.buf);
		memset(q->r.buf, 0xee, room);
	}
	if (kind == CO_WRITE)
		memset(q->r.buf + head, tag, len);
	w->wants[w->nwants++] = q;
	co_submit(w->co, w->now, &q->r);
	XBD_ASSERT(!q->done); /* never from inside */
	world_step(w);
	return q;
}

struct want *world_do(struct world *w, enum co_kind kind, uint64_t offset, uint32_t len,
		      uint8_t tag)
{
	struct want *q = world_submit(w, kind, offset, len, tag);

	assert_true(q->done);
	assert_int_equal(q->r.res, 0);
	return q;
}

bool world_is(const struct want *q, uint8_t tag)
{
	const uint8_t *at = q->r.buf + q->r.offset % BLOCK;

	for (uint32_t i = 0; i < q->r.len; i++)
		if (at[i] != tag)
			return false;
	return true;
}

void world_hold(struct world *w, uint32_t node, uint8_t type)
{
	w->store[node].hold |= 1u << type;
}

static struct held *take(struct world *w, uint32_t node, uint8_t type)
{
	for (struct held **p = &w->held; *p; p = &(*p)->next)
		if ((*p)->node == node && (*p)->s.type == type) {
			struct held *h = *p;

			*p = h->next;
			return h;
		}
	return NULL;
}

void world_let(struct world *w, uint32_t node, uint8_t type)
{
	struct held *h;

	w->store[node].hold &= ~(1u << type);
	while ((h = take(w, node, type)))
		world_answer(w, h);
	world_step(w);
}

struct held *world_take(struct world *w, uint32_t node, uint8_t type)
{
	struct held *h = take(w, node, type);

	assert_non_null(h);
	return h;
}

unsigned world_kept(const struct world *w, uint32_t node, uint8_t type)
{
	unsigned n = 0;

	for (const struct held *h = w->held; h; h = h->next)
		n += h->node == node && h->s.type == type;
	return n;
}

void world_drop(struct held *h)
{
	free(h->body);
	free(h);
}

void world_answer(struct world *w, struct held *h)
{
	pstore_obey(w, h->node, h);
	world_drop(h);
}

struct xbd_hdr world_reply_to(const struct held *h, uint8_t type, uint8_t status)
{
	return (struct xbd_hdr){.magic = XBD_MAGIC,
				.version = XBD_VERSION,
				.type = type,
				.shard = h->s.shard,
				.ver = h->s.ver,
				.block = h->s.block,
				.count = type == XBD_T_ACK || type == XBD_T_DATA ? h->s.count : 0,
				.sender = (uint8_t)h->node,
				.stamp = XBD_STAMP(h->s.stamp, status)};
}

void world_say(struct world *w, uint32_t node, const struct xbd_hdr *h, const void *body)
{
	struct answer *a = malloc(sizeof(*a) + h->len);

	XBD_ASSERT(a);
	a->h = *h;
	a->node = node;
	a->next = NULL;
	if (h->len)
		memcpy(a->body, body, h->len);
	/* what is not in the packet's rules would not get through */
	XBD_ASSERT(xbd_check(h, h->len, XBD_SIDE_CLIENT) == XBD_V_ACCEPTED);
	*w->answers_end = a;
	w->answers_end = &a->next;
}

void world_ack(struct world *w, const struct held *h, uint8_t flags, uint8_t status)
{
	struct xbd_hdr a = world_reply_to(h, XBD_T_ACK, status);

	a.flags = flags;
	world_say(w, h->node, &a, NULL);
}

struct co_shard_status world_status(struct world *w)
{
	struct co_shard_status st;

	XBD_ASSERT(co_shard_status(w->co, 0, &st));
	return st;
}

struct co_counters *world_counters(struct world *w)
{
	co_counters(w->co, &w->n);
	return &w->n;
}
