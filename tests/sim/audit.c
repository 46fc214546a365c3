/* SPDX-License-Identifier: BSD-2-Clause */
/* Invariants that can be seen from outside, and whether everything has converged. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "mstore.h"

#define CONTENTS (1u << 16)

struct content {
	uint64_t ver, run;
	uint32_t shard, block, crc;
};

struct audit {
	uint64_t run, used;
	struct content content[CONTENTS];
	struct xbd_uuid uuid[NODES_MAX];
	uint32_t prom[NODES_MAX][SHARDS_MAX];
	char text[160];
};

void audit_init(struct sim *s)
{
	if (!s->audit) {
		s->audit = calloc(1, sizeof(*s->audit));
		XBD_ASSERT(s->audit);
	}
	s->audit->run++;
	s->audit->used = 0;
	memset(s->audit->prom, 0, sizeof(s->audit->prom));
	memset(s->audit->uuid, 0, sizeof(s->audit->uuid));
}

/* Invariant 3: one version, one content, on all stores and for ever. */
void audit_content(struct sim *s, uint32_t shard, uint32_t block, uint64_t ver, uint32_t crc)
{
	struct audit *a = s->audit;
	uint64_t h = (ver * 0x9e3779b97f4a7c15ull ^ block) * 0xd1342543de82ef95ull ^ shard;

	if (ver == 0)
		return;
	for (uint32_t i = (uint32_t)(h >> 40); a->used < CONTENTS - 64; i++) {
		struct content *c = &a->content[i % CONTENTS];

		if (c->run != a->run) {
			*c = (struct content){ver, a->run, shard, block, crc};
			a->used++;
			return;
		}
		if (c->ver != ver || c->block != block || c->shard != shard)
			continue;
		if (c->crc != crc)
			sim_fail(s, "two contents of shard %u block %u version %u.%lu: %x and %x",
				 shard, block, XBD_VER_EPOCH(ver), (unsigned long)XBD_VER_SEQ(ver),
				 c->crc, crc);
		return;
	}
}

void audit_states(struct sim *s)
{
	struct audit *a = s->audit;

	for (unsigned i = 0; i < NODES_MAX; i++) {
		const struct mdisk *d = s->host[i].disk;

		if (!d)
			continue;
		if (memcmp(&a->uuid[i], &d->uuid, sizeof(d->uuid)) != 0)
			memset(a->prom[i], 0, sizeof(a->prom[i]));
		a->uuid[i] = d->uuid;
		for (unsigned k = 0; k < s->opt.shards; k++) {
			const struct xbd_state *st = &d->shard[k].state;

			if (!d->shard[k].used)
				continue;
			if (st->prom < a->prom[i][k])
				sim_fail(s, "node %u: promise fell from %u to %u", i, a->prom[i][k],
					 st->prom);
			if (st->synced > st->prom)
				sim_fail(s, "node %u: synced %u > promised %u", i, st->synced,
					 st->prom);
			a->prom[i][k] = st->prom;
		}
	}
}

static uint64_t ver_of(const struct mblock *b)
{
	return b ? b->ver : 0;
}

/* Invariant 6: stores synced in the same epoch agree on all that both call complete. */
static void compare_stores(struct sim *s, unsigned i, unsigned j, unsigned k)
{
	const struct mdisk *x = s->host[i].disk, *y = s->host[j].disk;
	const struct xbd_state *a = &x->shard[k].state, *b = &y->shard[k].state;
	uint64_t comp = a->comp < b->comp ? a->comp : b->comp;

	for (uint32_t n = 0; n < s->opt.blocks; n++) {
		uint32_t block = s->first_block + n - s->shard_base[k];
		const struct mblock *p, *q;

		if ((n >= s->chk.boundary) != k)
			continue;
		p = mdisk_block(x, k, block);
		q = mdisk_block(y, k, block);
		if (ver_of(p) == ver_of(q) || ver_of(p) > comp || ver_of(q) > comp ||
		    (p && p->unsure) || (q && q->unsure))
			continue;
		sim_fail(s,
			 "shard %u block %u: nodes %u and %u, both synced in %u and complete up to "
			 "%u.%lu, hold %u.%lu and %u.%lu",
			 k, n, i, j, a->synced, XBD_VER_EPOCH(comp),
			 (unsigned long)XBD_VER_SEQ(comp), XBD_VER_EPOCH(ver_of(p)),
			 (unsigned long)XBD_VER_SEQ(ver_of(p)), XBD_VER_EPOCH(ver_of(q)),
			 (unsigned long)XBD_VER_SEQ(ver_of(q)));
	}
}

void audit_stores(struct sim *s)
{
	for (unsigned k = 0; k < s->opt.shards; k++)
		for (unsigned i = 1; i < s->opt.n; i++)
			for (unsigned j = 0; j < i; j++) {
				const struct mshard *a = &s->host[i].disk->shard[k];
				const struct mshard *b = &s->host[j].disk->shard[k];

				if (a->used && b->used && a->state.synced &&
				    a->state.synced == b->state.synced &&
				    !s->host[i].disk->damaged && !s->host[j].disk->damaged)
					compare_stores(s, i, j, k);
			}
}

static const char *tables_equal(struct sim *s)
{
	struct audit *a = s->audit;

	for (uint32_t b = 0; b < s->opt.blocks; b++) {
		uint32_t shard = b >= s->chk.boundary;
		uint32_t block = s->first_block + b - s->shard_base[shard];
		const struct mblock *x = mdisk_block(s->host[0].disk, shard, block);

		for (uint32_t i = 1; i < s->opt.n; i++) {
			const struct mblock *y = mdisk_block(s->host[i].disk, shard, block);
			uint64_t xv = x ? x->ver : 0, yv = y ? y->ver : 0;

			if (xv == yv && (!xv || x->crc == y->crc))
				continue;
			snprintf(a->text, sizeof(a->text),
				 "block %u: node 0 has %u.%lu, node %u has %u.%lu", b,
				 XBD_VER_EPOCH(xv), (unsigned long)XBD_VER_SEQ(xv), i,
				 XBD_VER_EPOCH(yv), (unsigned long)XBD_VER_SEQ(yv));
			return a->text;
		}
	}
	return NULL;
}

static const char *replicas_synced(struct sim *s, struct host *h)
{
	struct audit *a = s->audit;

	for (unsigned k = 0; k < s->opt.shards; k++) {
		struct co_shard_status st;

		if (!co_shard_status(h->co, k, &st))
			return "no shard status";
		if (st.inflight)
			return "the coordinator has operations in flight";
		for (unsigned i = 0; i < s->opt.n; i++) {
			const struct co_rep_status *r = &st.rep[i];

			if (r->state == CO_REP_SYNCED && r->lag_regions == 0)
				continue;
			snprintf(a->text, sizeof(a->text),
				 "shard %u slot %u: state %d, %lu regions lag", k, i, r->state,
				 (unsigned long)r->lag_regions);
			return a->text;
		}
	}
	return NULL;
}

const char *audit_converged(struct sim *s, struct host *h)
{
	const char *why;

	if (!clients_done(s))
		return "client requests are not answered";
	if (!h || !co_serving(h->co))
		return "the volume does not serve";
	why = replicas_synced(s, h);
	if (why)
		return why;
	for (unsigned i = 0; i < NODES_MAX; i++) {
		if (s->host[i].disk && !s->host[i].rep)
			return "a node is down";
		if (s->host[i].disk && !replica_idle(s->host[i].rep))
			return "a replica has operations";
	}
	return tables_equal(s);
}
