/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "placement/placement.h"

struct plan {
	const struct meta_node *node[PLACE_NODES_MAX];
	struct place_node place[PLACE_NODES_MAX];
	uint32_t n;
};

static void take_node(struct plan *p, const struct meta_node *n)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->node[i] == n)
			return;
	if (p->n == PLACE_NODES_MAX)
		return;
	p->node[p->n] = n;
	p->place[p->n++] = (struct place_node){n->store, n->blocks ? n->blocks : 1};
}

static int take_named(struct cli *c, struct plan *p, const struct nodes *nodes, const char *among)
{
	char name[XBD_NAME_MAX + 1];

	while (*among) {
		size_t len = strcspn(among, ",");
		const struct meta_node *n;

		if (len > XBD_NAME_MAX)
			return cli_fail(c, "--nodes: \"%.*s\" is not a node name", (int)len, among);
		memcpy(name, among, len);
		name[len] = 0;
		n = nodes_find(nodes, name);
		if (!n)
			return cli_fail(c, "--nodes: no node \"%s\"; \"xbd node list\" lists them",
					name);
		if (n->witness)
			return cli_fail(c, "--nodes: node %s is a witness: it holds no data", name);
		take_node(p, n);
		among += len + (among[len] == ',');
	}
	return 0;
}

static int take_nodes(struct cli *c, struct plan *p, const struct nodes *nodes, const char *among,
		      uint32_t replicas)
{
	if (among) {
		int err = take_named(c, p, nodes, among);

		if (err)
			return err;
	} else {
		for (size_t i = 0; i < nodes->n; i++)
			if (!nodes->node[i].witness)
				take_node(p, &nodes->node[i]);
	}
	if (p->n >= replicas)
		return 0;
	return cli_fail(
		c,
		"%u replicas need %u nodes, but %s %u; add nodes with \"xbd node add\" or use "
		"--replicas",
		replicas, replicas, among ? "--nodes names" : "the cluster has", p->n);
}

/* A volume whose share of one node is larger than the node can never be filled: refuse it. */
static int check_room(struct cli *c, const struct plan *p, const struct meta_volume *v)
{
	for (uint32_t k = 0; k < p->n; k++) {
		uint64_t blocks = 0;

		for (uint32_t i = 0; i < v->nshards; i++)
			for (uint32_t m = 0; m < v->shards[i].n; m++)
				if (!strcmp(v->shards[i].member[m].node, p->node[k]->name))
					blocks += meta_shard_blocks(v, i);
		if (p->node[k]->blocks && blocks > p->node[k]->blocks)
			return cli_fail(c,
					"not enough space: node %s would have to hold %s of this "
					"volume, its store is %s large",
					p->node[k]->name, cli_size(blocks * XBD_BLOCK_SIZE),
					cli_size(p->node[k]->blocks * XBD_BLOCK_SIZE));
	}
	return 0;
}

static void choose(const struct plan *p, struct meta_volume *v, uint32_t index)
{
	struct meta_shard *s = &v->shards[index];
	uint32_t pick[XBD_REPLICAS_MAX];

	XBD_ASSERT(!place_replicas(p->place, p->n, &v->uuid, index, v->replicas, pick));
	s->n = v->replicas;
	for (uint32_t i = 0; i < s->n; i++) {
		memcpy(s->member[i].node, p->node[pick[i]]->name, sizeof(s->member[i].node));
		s->member[i].store = p->node[pick[i]]->store;
	}
}

static int grow(struct cli *c, struct plan *p, struct meta_volume *v, uint32_t want)
{
	struct meta_shard *more = realloc(v->shards, want * sizeof(*more));
	uint32_t had = v->nshards, id = 0;
	int err;

	if (!more)
		return cli_fail(c, "out of memory");
	v->shards = more;
	memset(more + had, 0, (want - had) * sizeof(*more));
	v->nshards = want;
	for (uint32_t i = had; i < want; i++)
		choose(p, v, i);
	err = check_room(c, p, v);
	if (err)
		return err;
	if (want > had && meta_shard_ids(c->meta, want - had, &id))
		return cli_fail_meta(c);
	for (uint32_t i = had; i < want; i++)
		v->shards[i].id = id++;
	return 0;
}

int plan_shards(struct cli *c, const struct nodes *nodes, struct meta_volume *v, const char *among)
{
	struct plan *p;
	uint32_t want;
	int err = place_shards(v->size, v->shard_blocks, &want);

	if (err == -E2BIG)
		return cli_fail(c, "%s in shards of %s are more than %u shards", cli_size(v->size),
				cli_size((uint64_t)v->shard_blocks * XBD_BLOCK_SIZE),
				XBD_SHARDS_MAX);
	XBD_ASSERT(!err && want >= v->nshards);
	p = calloc(1, sizeof(*p));
	if (!p)
		return cli_fail(c, "out of memory");
	err = take_nodes(c, p, nodes, among, v->replicas);
	if (!err)
		err = grow(c, p, v, want);
	free(p);
	return err;
}
