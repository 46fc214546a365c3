/* SPDX-License-Identifier: BSD-2-Clause */
/* The administrator: gives each blank store its shards, again and again until they are there. */
#include <string.h>

#include "base/assert.h"
#include "mstore.h"

#define HOST_ADMIN 7u /* nobody answers there */
#define EVERY	   (20 * MS)

static void make_record(struct sim *s)
{
	struct xbd_record *r = &s->rec;

	memset(r, 0, sizeof(*r));
	r->bal = r->epoch = 1;
	r->gen = prng_next(&s->fault);
	r->n = (uint8_t)s->opt.n;
	r->d_mask = (uint8_t)((1u << s->opt.n) - 1);
	r->w = (uint8_t)(s->opt.insync ? s->opt.n : s->opt.n / 2 + 1);
	r->mode = (uint8_t)s->opt.insync;
	for (unsigned i = 0; i < s->opt.n; i++)
		r->member[i] = r->base[i] = s->host[i].disk->uuid;
	if (s->opt.witness)
		r->witness = s->host[HOST_WITNESS].disk->uuid;
	memset(r->volume.b, 0x77, sizeof(r->volume.b));
}

void create_init(struct sim *s)
{
	make_record(s);
	sim_after(s, 1 * MS, EV_CREATE, 0, 0, 0, NULL);
}

static void create(struct host *h, unsigned shard)
{
	struct sim *s = h->sim;
	struct xbd_record rec = s->rec;
	struct xbd_msg m = {
		.h = {.magic = XBD_MAGIC,
		      .version = XBD_VERSION,
		      .type = XBD_T_CREATE,
		      .shard = s->shard_id[shard],
		      .len = sizeof(rec),
		      .sender = XBD_SLOT_NONE},
		.body = (const uint8_t *)&rec,
		.body_len = sizeof(rec),
		.from = HOST_ADMIN,
	};

	rec.blocks = s->shard_blocks[shard];
	TRACE(s, "admin creates shard %u on node %u", s->shard_id[shard], h->id);
	replica_msg(h->rep, host_now(h), &m);
	host_touch(h);
}

void create_event(struct sim *s, const struct event *ev)
{
	for (unsigned i = 0; i < NODES_MAX; i++) {
		struct host *h = &s->host[i];

		if (!h->alive || !h->rep || h->paused_until > s->now)
			continue;
		for (unsigned k = 0; k < s->opt.shards; k++)
			if (!store_state(h->store, s->shard_id[k]))
				create(h, k);
	}
	sim_after(s, EVERY, EV_CREATE, 0, 0, 0, NULL);
}
