/* SPDX-License-Identifier: BSD-2-Clause */
/* What all hosts have: a clock of their own, pauses, turns of an event loop, deadlines. */
#include "base/assert.h"
#include "sim.h"

#define FAR (1000000 * MS) /* no deadline is looked at earlier than that */

void sim_at(struct sim *s, uint64_t at, enum event_kind kind, uint8_t host, uint32_t gen,
	    uint32_t arg, void *ptr)
{
	XBD_ASSERT(at >= s->now);
	calendar_push(&s->cal, (struct event){.at = at,
					      .ptr = ptr,
					      .gen = gen,
					      .arg = arg,
					      .kind = (uint8_t)kind,
					      .host = host});
}

void sim_after(struct sim *s, uint64_t delay, enum event_kind kind, uint8_t host, uint32_t gen,
	       uint32_t arg, void *ptr)
{
	sim_at(s, s->now + delay, kind, host, gen, arg, ptr);
}

uint64_t host_now(const struct host *h)
{
	int64_t t = (int64_t)h->sim->now;

	return h->offset + (uint64_t)(t + t * h->ppm / 1000000);
}

/* Virtual time at which the host's clock shows `local`, or a little later. */
static uint64_t virtual_at(const struct host *h, uint64_t local)
{
	uint64_t now = host_now(h);
	int64_t d;

	if (local <= now)
		return h->sim->now;
	d = local - now > FAR ? (int64_t)FAR : (int64_t)(local - now);
	return h->sim->now + (uint64_t)(d * 1000000 / (1000000 + h->ppm)) + 1;
}

void host_init(struct sim *s, uint8_t id)
{
	struct host *h = &s->host[id];
	uint32_t drift = s->opt.drift_pct * 10000;

	*h = (struct host){.sim = s, .id = id, .slow = 1, .tick_at = NEVER};
	h->offset = 1000 * MS + (uint64_t)prng_below(&s->fault, s->opt.skew_ms + 1) * MS;
	h->ppm = drift ? (int32_t)prng_below(&s->fault, 2 * drift + 1) - (int32_t)drift : 0;
}

bool is_node(uint8_t host)
{
	return host < NODES_MAX;
}

static uint64_t deadline(const struct host *h)
{
	return is_node(h->id) ? node_deadline(h) : cohost_deadline(h);
}

static void set_tick(struct host *h)
{
	struct sim *s = h->sim;
	uint64_t local = deadline(h), at;

	if (local == UINT64_MAX) {
		h->tick_at = NEVER;
		h->tick_gen++;
		return;
	}
	at = virtual_at(h, local);
	if (h->tick_at != NEVER && h->tick_at <= at + (s->opt.late_us + 1) * US && h->tick_at >= at)
		return;
	if (s->opt.late_us)
		at += prng_below(&s->fault, s->opt.late_us + 1) * US;
	h->tick_at = at;
	h->tick_gen++;
	sim_at(s, at, EV_TICK, h->id, h->tick_gen, 0, NULL);
}

void host_touch(struct host *h)
{
	struct sim *s = h->sim;

	if (!h->alive || h->turn_set)
		return;
	h->turn_set = true;
	sim_after(s, s->opt.turn_us ? prng_below(&s->net, s->opt.turn_us + 1) * US : 0, EV_TURN,
		  h->id, h->gen, 0, NULL);
}

bool host_asleep(struct host *h, const struct event *ev)
{
	if (h->paused_until <= h->sim->now)
		return false;
	sim_at(h->sim, h->paused_until, (enum event_kind)ev->kind, ev->host, ev->gen, ev->arg,
	       ev->ptr);
	return true;
}

void host_tick(struct host *h, const struct event *ev)
{
	if (!h->alive || ev->gen != h->tick_gen || host_asleep(h, ev))
		return;
	h->tick_at = NEVER;
	if (is_node(h->id))
		node_event(h, false);
	else
		cohost_turn(h);
	host_touch(h);
}

void host_turn(struct host *h, const struct event *ev)
{
	if (!h->alive || ev->gen != h->gen || host_asleep(h, ev))
		return;
	h->turn_set = false;
	if (is_node(h->id))
		node_event(h, true);
	else
		cohost_turn(h);
	if (h->alive)
		set_tick(h);
}

void host_stop(struct host *h)
{
	h->alive = false;
	h->gen++;
	h->tick_gen++;
	h->tick_at = NEVER;
	h->turn_set = false;
	h->paused_until = 0;
}
