/* SPDX-License-Identifier: BSD-2-Clause */
/* The only place where things are broken. Each kind of fault has its own clock. */
#include <string.h>

#include "base/assert.h"
#include "mstore.h"
#include "rstore.h"

/* X(name, option with the mean distance) */
#define FAULTS(X)                                                                                  \
	X(node_crash, node_crash_ms)                                                               \
	X(node_pause, node_pause_ms)                                                               \
	X(co_crash, co_crash_ms)                                                                   \
	X(co_take, co_take_ms)                                                                     \
	X(co_pause, co_pause_ms)                                                                   \
	X(part, part_ms)                                                                           \
	X(rot, rot_ms)                                                                             \
	X(lose, lose_ms)                                                                           \
	X(fail, fail_ms)                                                                           \
	X(slow, slow_ms)

enum fault_kind {
#define X(name, every) F_##name,
	FAULTS(X)
#undef X
};

static uint32_t mean_ms(const struct sim *s, enum fault_kind kind)
{
	switch (kind) {
#define X(name, every)                                                                             \
	case F_##name:                                                                             \
		return s->opt.every;
		FAULTS(X)
#undef X
	}
	return 0;
}

static void plan(struct sim *s, enum fault_kind kind)
{
	uint32_t ms = mean_ms(s, kind);

	if (ms)
		sim_after(s, MS / 10 + prng_exp(&s->fault, ms * MS), EV_FAULT, 0, 0, kind, NULL);
}

static uint32_t node_count(const struct sim *s)
{
	return s->opt.n + s->opt.witness;
}

static struct host *node_at(struct sim *s, uint32_t i)
{
	return &s->host[i < s->opt.n ? i : HOST_WITNESS];
}

static struct host *any_node(struct sim *s)
{
	return node_at(s, prng_below(&s->fault, node_count(s)));
}

static void crash(struct sim *s, struct host *h)
{
	if (!h->alive)
		return;
	node_crash(h);
	sim_after(s, MS + prng_exp(&s->fault, s->opt.node_down_ms * MS), EV_BOOT, h->id, 0, 0,
		  NULL);
}

static void node_crash_fault(struct sim *s)
{
	if (prng_percent(&s->fault, 85)) {
		crash(s, any_node(s));
		return;
	}
	for (uint32_t i = 0; i < node_count(s); i++) /* the site loses power, or most of it */
		if (prng_percent(&s->fault, 80))
			crash(s, node_at(s, i));
}

static void pause_host(struct sim *s, struct host *h)
{
	if (!h || !h->alive)
		return;
	h->paused_until = s->now + prng_exp(&s->fault, s->opt.pause_ms * MS);
	TRACE(s, "host %u sleeps until %lu", h->id, (unsigned long)h->paused_until);
}

static void co_crash_fault(struct sim *s)
{
	struct host *h;

	if (cohost_count(s, &h) == 0)
		return;
	s->total.crashes++;
	cohost_kill(h, "crash");
	if (prng_percent(&s->fault, 30))
		cohost_start(s);
	else
		sim_after(s, prng_below(&s->fault, 300) * MS, EV_BOOT, HOST_CO0, 0, 0, NULL);
}

static void co_take_fault(struct sim *s)
{
	struct host *h;
	uint32_t n = cohost_count(s, &h);

	if (n >= 3)
		return;
	if (h && prng_percent(&s->fault, 50)) /* it does not notice for a while */
		pause_host(s, h);
	cohost_start(s);
}

static uint64_t all_hosts(const struct sim *s)
{
	return (1ull << HOSTS_MAX) - 1;
}

/* A coordinator keeps one node for itself while another one takes over the rest: stale reads? */
static void part_tete(struct sim *s)
{
	struct host *co, *node = any_node(s);

	if (cohost_count(s, &co) == 0)
		return;
	for (unsigned i = 0; i < HOSTS_MAX; i++) {
		if (i != co->id && !is_node((uint8_t)i)) {
			s->blocked[i] |= 1ull << node->id;
			s->blocked[node->id] |= 1ull << i;
		} else if (i != node->id && is_node((uint8_t)i)) {
			s->blocked[i] |= 1ull << co->id;
			s->blocked[co->id] |= 1ull << i;
		}
	}
	if (cohost_count(s, NULL) < 3)
		cohost_start(s);
}

static void part_fault(struct sim *s)
{
	uint32_t style = prng_below(&s->fault, 5), ms = s->opt.heal_ms;
	uint32_t a = prng_below(&s->fault, HOSTS_MAX);

	if (style == 0) { /* one node alone, maybe in one direction */
		struct host *h = any_node(s);
		uint32_t way = prng_range(&s->fault, 1, 3);

		for (unsigned i = 0; i < HOSTS_MAX; i++)
			if (way & 1)
				s->blocked[i] |= 1ull << h->id;
		if (way & 2)
			s->blocked[h->id] = all_hosts(s);
	} else if (style == 1) { /* two sides */
		uint64_t side = prng_next(&s->fault) & all_hosts(s);

		for (unsigned i = 0; i < HOSTS_MAX; i++)
			s->blocked[i] |= side >> i & 1 ? ~side & all_hosts(s) : side;
	} else if (style == 2) { /* a coordinator alone */
		a = HOST_CO0 + a % COS_MAX;
		s->blocked[a] = all_hosts(s);
		for (unsigned i = 0; i < HOSTS_MAX; i++)
			s->blocked[i] |= 1ull << a;
	} else if (style == 3) {
		part_tete(s);
		ms += s->opt.lease_ms;
	} else { /* single links, each way for itself */
		for (unsigned i = 0; i < HOSTS_MAX; i++)
			s->blocked[i] |= prng_next(&s->fault) & prng_next(&s->fault) & all_hosts(s);
	}
	TRACE(s, "partition, style %u", style);
	sim_after(s, MS + prng_exp(&s->fault, ms * MS), EV_HEAL, 0, 0, F_part, NULL);
}

static void rot_fault(struct sim *s)
{
	uint32_t times = prng_range(&s->fault, 1, 8);

	for (uint32_t i = 0; i < times; i++) {
		uint8_t node = (uint8_t)prng_below(&s->fault, s->opt.n);
		uint32_t b = prng_below(&s->fault, s->opt.blocks), shard = b >= s->chk.boundary;
		uint32_t block = s->first_block + b - s->shard_base[shard];
		struct mdisk *d = s->host[node].disk;
		struct mblock *m;

		if (!atlas_may_rot(s, node, shard, block))
			continue;
		m = mdisk_block_make(d, shard, block);
		if (d->fd && !rstore_rot(d, shard, block))
			continue;
		m->rot = true;
		s->total.corruptions++;
		TRACE(s, "rot: node %u shard %u block %u", node, shard, block);
	}
}

static void lose_fault(struct sim *s)
{
	struct host *h = &s->host[prng_below(&s->fault, s->opt.n)];

	if (!atlas_may_lose(s, h->id))
		return;
	s->total.losses++;
	TRACE(s, "node %u loses its disk", h->id);
	crash(s, h);
	if (h->disk->fd && prng_percent(&s->fault, 50))
		rstore_damage(h->disk);
	else
		h->disk = mdisk_new(s, h->id);
}

static void fail_fault(struct sim *s)
{
	struct host *h = any_node(s);

	if (!h->alive || !h->rep)
		return;
	TRACE(s, "node %u: disk fails", h->id);
	h->disk->failed = true;
	sim_after(s, prng_exp(&s->fault, s->opt.node_down_ms * MS), EV_HEAL, h->id, h->gen, F_fail,
		  NULL);
}

static void slow_fault(struct sim *s)
{
	struct host *h = any_node(s);

	h->slow = prng_percent(&s->fault, 50) ? 1 : prng_range(&s->fault, 5, 200);
}

void faults_init(struct sim *s)
{
#define X(name, every) plan(s, F_##name);
	FAULTS(X)
#undef X
}

static void heal(struct sim *s, const struct event *ev)
{
	struct host *h = &s->host[ev->host];

	if (ev->arg == F_part) {
		memset(s->blocked, 0, sizeof(s->blocked));
		TRACE(s, "partition heals");
	} else if (ev->arg == F_fail && h->alive && h->gen == ev->gen) {
		crash(s, h);
	}
}

void faults_event(struct sim *s, const struct event *ev)
{
	struct host *h;

	if (ev->kind == EV_HEAL) {
		heal(s, ev);
		return;
	}
	if (s->liveness)
		return;
	switch ((enum fault_kind)ev->arg) {
	case F_node_crash:
		node_crash_fault(s);
		break;
	case F_node_pause:
		pause_host(s, any_node(s));
		break;
	case F_co_crash:
		co_crash_fault(s);
		break;
	case F_co_take:
		co_take_fault(s);
		break;
	case F_co_pause:
		cohost_count(s, &h);
		pause_host(s, h);
		break;
	case F_part:
		part_fault(s);
		break;
	case F_rot:
		rot_fault(s);
		break;
	case F_lose:
		lose_fault(s);
		break;
	case F_fail:
		fail_fault(s);
		break;
	case F_slow:
		slow_fault(s);
		break;
	}
	plan(s, (enum fault_kind)ev->arg);
}

void faults_stop(struct sim *s)
{
	memset(s->blocked, 0, sizeof(s->blocked));
	s->opt.loss = s->opt.loss ? prng_below(&s->fault, 50) : 0;
	s->opt.flip = s->opt.straggle = 0;
	s->opt.fence /= 2;
	for (uint32_t i = 0; i < HOSTS_MAX; i++) {
		struct host *h = &s->host[i];

		h->slow = 1;
		h->paused_until = 0;
		if (is_node((uint8_t)i) && h->disk) {
			if (h->alive && h->disk->failed)
				node_crash(h);
			node_boot(h);
		}
	}
}
