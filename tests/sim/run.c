/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One seed: set up, a first phase with faults in which nothing wrong may be seen (safety), then a
 * second one without faults in which everything must be answered and converge (liveness).
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "mstore.h"
#include "rstore.h"

#define AUDIT_EVERY  (10 * MS)
#define LIVENESS_MAX (120000 * MS) /* virtual time until all must be well */

struct sim *sim_current;

_Noreturn void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	TRACE(s, "VIOLATION: %s", s->why);
	longjmp(s->failed, 1);
}

void sim_trace(const struct sim *s, const char *fmt, ...)
{
	va_list ap;

	printf("%12.6f ", (double)s->now / 1e9);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* Takes the place of the one in user/base: a broken assertion is a violation of this seed. */
_Noreturn void xbd_assert_failed(const char *expr, const char *file, int line)
{
	if (sim_current)
		sim_fail(sim_current, "assertion %s (%s:%d)", expr, file, line);
	fprintf(stderr, "sim: assertion failed: %s (%s:%d)\n", expr, file, line);
	abort();
}

static void checker_failed(void *ctx, const char *text)
{
	sim_fail(ctx, "%s", text);
}

static void layout(struct sim *s)
{
	const struct options *o = &s->opt;

	s->shard_id[0] = prng_range(&s->work, 1, 40000);
	s->shard_id[1] = s->shard_id[0] + 1;
	s->shard_base[0] = s->first_block = 0;
	s->shard_blocks[0] = o->blocks;
	if (o->shards == 2) {
		s->shard_blocks[0] = s->shard_base[1] = XBD_RANGE_BLOCKS;
		s->first_block = XBD_RANGE_BLOCKS - o->blocks / 2;
		s->shard_blocks[1] = o->blocks - o->blocks / 2;
	}
}

static void init_checker(struct sim *s)
{
	struct checker *c = &s->chk;
	uint32_t step;

	c->fail = checker_failed;
	c->ctx = s;
	c->cells = s->opt.cells;
	step = XBD_BLOCK_SIZE / c->cells;
	for (uint32_t i = 0; i <= c->cells; i++) /* anywhere, a sector border now and then */
		c->edge[i] = (uint16_t)(i * step);
	for (uint32_t i = 1; i < c->cells; i++)
		if (prng_percent(&s->work, 80))
			c->edge[i] = (uint16_t)(c->edge[i] - prng_below(&s->work, step / 2));
	checker_init(c, &s->arena, s->opt.blocks,
		     s->opt.shards == 2 ? s->opt.blocks / 2 : s->opt.blocks, s->opt.ops + 100);
}

static void set_up(struct sim *s)
{
	s->net = prng_make(s->seed, 2);
	s->fault = prng_make(s->seed, 3);
	s->work = prng_make(s->seed, 4);
	arena_reset(&s->arena);
	calendar_clear(&s->cal);
	s->now = 0;
	s->free_mops = NULL;
	s->uuids = s->instances = 0;
	s->liveness = false;
	s->why[0] = 0;
	s->total = (struct totals){0};
	layout(s);
	for (uint8_t i = 0; i < HOSTS_MAX; i++)
		host_init(s, i);
	network_init(s);
	audit_init(s);
	init_checker(s);
	clients_init(s);
	for (uint8_t i = 0; i < NODES_MAX; i++)
		if (i < s->opt.n || (i == HOST_WITNESS && s->opt.witness))
			s->host[i].disk = mdisk_new(s, i);
	for (uint8_t i = 0; i < NODES_MAX; i++)
		if (s->host[i].disk)
			node_boot(&s->host[i]);
	create_init(s);
}

static void tear_down(struct sim *s)
{
	for (unsigned i = 0; i < HOSTS_MAX; i++) {
		struct host *h = &s->host[i];

		if (h->co)
			co_free(h->co);
		replica_free(h->rep);
		h->co = NULL;
		h->rep = NULL;
		h->alive = false;
	}
	rstore_cleanup(s);
}

static void on_boot(struct sim *s, const struct event *ev)
{
	if (is_node(ev->host)) {
		if (s->host[ev->host].disk)
			node_boot(&s->host[ev->host]);
	} else if (cohost_count(s, NULL) == 0) {
		cohost_start(s);
	}
}

static void on_apply(struct sim *s, const struct event *ev)
{
	struct mop *m = ev->ptr;

	if (!m->op)
		return;
	mstore_apply(s, m);
	sim_after(s, prng_percent(&s->net, 70) ? 0 : prng_exp(&s->net, s->opt.store_us * US),
		  EV_DONE, ev->host, ev->gen, 0, m);
}

static void on_done(struct sim *s, const struct event *ev)
{
	struct mop *m = ev->ptr;
	struct host *h = &s->host[ev->host];

	if (!m->op || host_asleep(h, ev))
		return;
	mstore_done(s, m);
	host_touch(h);
}

static void step(struct sim *s, const struct event *ev)
{
	struct host *h = &s->host[ev->host];

	switch ((enum event_kind)ev->kind) {
	case EV_PACKET:
		network_arrive(s, ev);
		break;
	case EV_TICK:
		host_tick(h, ev);
		break;
	case EV_TURN:
		host_turn(h, ev);
		break;
	case EV_APPLY:
		on_apply(s, ev);
		break;
	case EV_DONE:
		on_done(s, ev);
		break;
	case EV_DISK:
		rstore_event(s, ev);
		break;
	case EV_BOOT:
		on_boot(s, ev);
		break;
	case EV_FAULT:
	case EV_HEAL:
		faults_event(s, ev);
		break;
	case EV_CLIENT:
		if (h->alive && h->gen == ev->gen && !host_asleep(h, ev))
			clients_act(h);
		break;
	case EV_AUDIT:
		audit_states(s);
		audit_stores(s);
		rstore_idle(s);
		sim_after(s, AUDIT_EVERY, EV_AUDIT, 0, 0, 0, NULL);
		break;
	case EV_CREATE:
		create_event(s, ev);
		break;
	}
}

/* False: the calendar ran empty, which cannot be. */
static void next(struct sim *s)
{
	struct event ev;

	if (!calendar_pop(&s->cal, &ev))
		sim_fail(s, "nothing happens any more");
	XBD_ASSERT(ev.at >= s->now);
	s->now = ev.at;
	if (++s->total.events > EVENTS_MAX)
		sim_fail(s, "too many events: something spins");
	step(s, &ev);
}

static bool created(struct sim *s)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		for (unsigned k = 0; s->host[i].disk && k < s->opt.shards; k++)
			if (!s->host[i].disk->shard[k].used)
				return false;
	return true;
}

static void safety(struct sim *s)
{
	while (!created(s))
		next(s);
	sim_after(s, AUDIT_EVERY, EV_AUDIT, 0, 0, 0, NULL);
	s->quiet_at = s->now + s->opt.safety_ms * MS;
	faults_init(s);
	cohost_start(s);
	while (s->now < s->quiet_at && (s->ops_left || !clients_done(s)))
		next(s);
}

static void liveness(struct sim *s)
{
	struct host *h = NULL;
	const char *why;

	TRACE(s, "liveness");
	s->liveness = true;
	s->quiet_at = s->now + LIVENESS_MAX;
	faults_stop(s);
	cohost_count(s, &h);
	for (unsigned i = HOST_CO0; i < HOSTS_MAX; i++)
		if (s->host[i].alive && (&s->host[i] != h || prng_percent(&s->fault, 50)))
			cohost_kill(&s->host[i], "end of the first phase");
	if (cohost_count(s, &h) == 0)
		h = cohost_start(s);
	clients_finale(h);
	do {
		uint64_t until = s->now + AUDIT_EVERY;

		while (s->now < until)
			next(s);
		cohost_count(s, &h);
		why = audit_converged(s, h);
		if (why && s->now > s->quiet_at)
			sim_fail(s, "liveness: %s", why);
	} while (why);
	audit_states(s);
}

struct sim *sim_new(void)
{
	return calloc(1, sizeof(struct sim));
}

void sim_free(struct sim *s)
{
	arena_free(&s->arena);
	calendar_free(&s->cal);
	clients_free(s);
	free(s->audit);
	free(s);
}

bool sim_run(struct sim *s, uint64_t seed, enum scenario sc, const struct options *fixed)
{
	s->seed = seed;
	s->scenario = sc;
	s->opt = *fixed;
	sim_current = s;
	if (setjmp(s->failed)) {
		sim_current = NULL;
		tear_down(s); /* the machines' _free functions do not look at their state */
		return false;
	}
	set_up(s);
	safety(s);
	liveness(s);
	tear_down(s);
	sim_current = NULL;
	return true;
}
