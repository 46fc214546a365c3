/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "prng.h"

static const char *const names[] = {
#define X(name, text) #name,
	SIM_SCENARIOS(X)
#undef X
};

enum scenario scenario_by_name(const char *name)
{
	for (unsigned i = 0; i < SC_END; i++)
		if (strcmp(names[i], name) == 0)
			return (enum scenario)i;
	return SC_END;
}

const char *scenario_name(enum scenario sc)
{
	return sc < SC_END ? names[sc] : "?";
}

/* In half of the seeds 0, else within the range. */
static uint32_t maybe(struct prng *p, uint32_t lo, uint32_t hi)
{
	return prng_percent(p, 50) ? 0 : prng_range(p, lo, hi);
}

static uint32_t pick(struct prng *p, const uint32_t *values, uint32_t n)
{
	return values[prng_below(p, n)];
}

#define PICK(p, ...)                                                                               \
	pick((p), (const uint32_t[]){__VA_ARGS__},                                                 \
	     sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void draw_base(struct options *o, struct prng *p)
{
	o->n = 3;
	o->shards = 1;
	o->blocks = PICK(p, 64, 64, 65, 96, 128, 200);
	o->cells = PICK(p, 1, 1, 1, 2, 4, 8);
	o->delay_us = PICK(p, 10, 50, 200, 200, 1000, 5000);
	o->store_us = PICK(p, 10, 50, 100, 500, 2000);
	o->turn_us = maybe(p, 1, 200);
	o->late_us = maybe(p, 1, 5000);
	o->ops = prng_range(p, 60, 250);
	o->depth = PICK(p, 1, 2, 4, 8, 16);
	o->think_us = PICK(p, 0, 100, 1000, 5000, 20000);
	o->reads = prng_range(p, 10, 70);
	o->zeroes = maybe(p, 1, 20);
	o->maps = maybe(p, 1, 10);
	o->partial = o->cells > 1 ? prng_range(p, 10, 90) : 0;
	o->max_blocks = PICK(p, 1, 1, 2, 4, 8, 32);
	o->hot = PICK(p, 0, 2, 4, 8, 16);
	o->safety_ms = 4000;
	o->node_down_ms = PICK(p, 5, 50, 200, 1000, 3000);
	o->pause_ms = PICK(p, 5, 50, 200, 1000);
	o->heal_ms = PICK(p, 5, 50, 200, 1000);
	o->lease_ms = PICK(p, 10, 20, 50, 100, 200, 600);
	o->lag_ms = PICK(p, 10, 50, 200, 1000);
	o->rto_us = PICK(p, 500, 2000, 2000, 10000);
	o->window = PICK(p, 131072, 262144, 1048576, 4194304);
	o->co_ops = PICK(p, 16, 32, 64);
	o->node_ops = PICK(p, 32, 64, 128);
	o->node_kib = PICK(p, 1024, 2048);
	o->fence = maybe(p, 500, 950);
	o->skew_ms = maybe(p, 1, 100000);
	o->drift_pct = maybe(p, 1, 4);
}

static void add_net(struct options *o, struct prng *p)
{
	o->loss = prng_range(p, 0, 300);
	o->dup = prng_range(p, 0, 300);
	o->flip = maybe(p, 1, 100);
	o->straggle = maybe(p, 1, 50);
	o->straggle_ms = PICK(p, 5, 50, 500, 3000);
	o->part_ms = maybe(p, 50, 2000);
}

static void add_mild_net(struct options *o, struct prng *p)
{
	o->loss = maybe(p, 0, 50);
	o->dup = maybe(p, 0, 50);
	o->straggle = maybe(p, 1, 30);
	o->straggle_ms = PICK(p, 5, 50, 500, 3000);
	o->part_ms = prng_percent(p, 30) ? prng_range(p, 50, 2000) : 0;
}

static void add_crash(struct options *o, struct prng *p)
{
	o->node_crash_ms = maybe(p, 50, 2000);
	o->co_crash_ms = maybe(p, 50, 2000);
	o->co_take_ms = maybe(p, 50, 2000);
	o->slow_ms = maybe(p, 50, 1000);
	o->fail_ms = prng_percent(p, 20) ? prng_range(p, 100, 3000) : 0;
}

static void add_zombie(struct options *o, struct prng *p)
{
	o->node_pause_ms = maybe(p, 50, 1000);
	o->co_pause_ms = maybe(p, 50, 1000);
	o->co_take_ms = prng_range(p, 50, 1500);
	if (!o->part_ms)
		o->part_ms = maybe(p, 50, 1000);
}

static void draw_two(struct options *o, struct prng *p)
{
	o->shards = 2;
	o->blocks = PICK(p, 128, 256);
	o->hot = PICK(p, 0, 4, 8, 16);
}

static void draw_small(struct options *o, struct prng *p)
{
	o->n = prng_range(p, 1, 2);
}

static void draw_five(struct options *o, struct prng *p)
{
	o->n = prng_range(p, 4, 5);
}

static void draw_witness(struct options *o)
{
	o->n = 2;
	o->witness = 1;
}

static void draw_disk(struct options *o, struct prng *p)
{
	o->real_store = 1;
	o->cache = prng_percent(p, 50);
	o->rot_ms = prng_percent(p, 30) ? prng_range(p, 20, 500) : 0;
	o->lose_ms = !o->rot_ms && prng_percent(p, 40) ? prng_range(p, 200, 2000) : 0;
}

/* Parts that scenarios other than calm share. */
static void add_faults(struct options *o, struct prng *p, enum scenario sc)
{
	if (sc == SC_net || sc == SC_storm)
		add_net(o, p);
	else
		add_mild_net(o, p);
	if (sc != SC_net)
		add_crash(o, p);
	if (sc == SC_zombie || sc == SC_storm || prng_percent(p, 30))
		add_zombie(o, p);
	if (sc == SC_rot || (sc == SC_storm && prng_percent(p, 30)))
		o->rot_ms = prng_range(p, 20, 500);
	if (sc == SC_lose || (sc == SC_storm && prng_percent(p, 30)))
		o->lose_ms = prng_range(p, 200, 2000);
	if (sc == SC_insync || (sc == SC_storm && prng_percent(p, 30)))
		o->insync = 1;
}

void options_draw(struct options *o, uint64_t seed, enum scenario sc)
{
	struct prng p = prng_make(seed, 1);

	*o = (struct options){0};
	if (sc == SC_any) {
		sc = (enum scenario)prng_range(&p, SC_any + 1, SC_END - 1);
		if (sc == SC_disk) /* asked for by name only: it is slower */
			sc = SC_storm;
	}
	draw_base(o, &p);
	if (sc == SC_calm)
		return;
	add_faults(o, &p, sc);
	if (sc == SC_two)
		draw_two(o, &p);
	else if (sc == SC_small)
		draw_small(o, &p);
	else if (sc == SC_five || (sc == SC_storm && prng_percent(&p, 20)))
		draw_five(o, &p);
	else if (sc == SC_witness || (sc == SC_storm && prng_percent(&p, 20)))
		draw_witness(o);
	else if (sc == SC_disk)
		draw_disk(o, &p);
}

bool options_set(struct options *o, const char *text)
{
	const char *eq = strchr(text, '=');
	size_t len = eq ? (size_t)(eq - text) : 0;

	if (!eq)
		return false;
#define X(name, what)                                                                              \
	if (len == sizeof(#name) - 1 && memcmp(text, #name, len) == 0) {                           \
		o->name = (uint32_t)strtoul(eq + 1, NULL, 10);                                     \
		return true;                                                                       \
	}
	SIM_OPTIONS(X)
#undef X
	return false;
}

void options_print(const struct options *o, FILE *f)
{
#define X(name, text)                                                                              \
	if (o->name)                                                                               \
		fprintf(f, " " #name "=%u", o->name);
	SIM_OPTIONS(X)
#undef X
	fputc('\n', f);
}
