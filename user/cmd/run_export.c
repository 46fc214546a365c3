/* SPDX-License-Identifier: BSD-2-Clause */
/* export: from the metadata to export_run */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/shards.h"
#include "export/export.h"

struct plan {
	struct cli *c;
	struct nodes nodes;
	struct meta_volume v;
	struct export_node node[CO_NODES_MAX];
	uint32_t n;
	struct co_shard_config *shards;
};

/* Index of a member's node among those of the export; -1 after a message. */
static int node_index(struct plan *p, const struct meta_member *m)
{
	const struct meta_node *n = nodes_find(&p->nodes, m->node);
	struct export_node *e;
	char why[CMD_WHY_MAX];

	for (uint32_t i = 0; i < p->n; i++)
		if (!strcmp(p->node[i].name, m->node))
			return (int)i;
	if (!n) {
		cli_fail(p->c,
			 "volume %s lies on node %s, which the metadata does not know; add it",
			 p->v.name, m->node);
		return -1;
	}
	if (p->n == CO_NODES_MAX) {
		cli_fail(p->c, "volume %s lies on more than %u nodes", p->v.name, CO_NODES_MAX);
		return -1;
	}
	e = &p->node[p->n];
	if (text_addr(n->addr, XBD_PORT, &e->addr, &e->addr_len, why, sizeof(why))) {
		cli_fail(p->c, "node %s: %s", n->name, why);
		return -1;
	}
	memcpy(e->name, n->name, sizeof(e->name));
	return (int)p->n++;
}

static int fill_shard(struct plan *p, uint32_t i)
{
	const struct meta_shard *s = &p->v.shards[i];
	struct co_shard_config *out = &p->shards[i];
	int at;

	out->id = s->id;
	out->blocks = meta_shard_blocks(&p->v, i);
	meta_shard_record(&p->v, i, &out->rec);
	memset(out->node, XBD_SLOT_NONE, sizeof(out->node));
	for (uint32_t k = 0; k < s->n; k++) {
		at = node_index(p, &s->member[k]);
		if (at < 0)
			return CMD_FAILED;
		out->node[k] = (uint8_t)at;
	}
	if (!p->v.witness.node[0])
		return 0;
	at = node_index(p, &p->v.witness);
	if (at < 0)
		return CMD_FAILED;
	out->node[XBD_SLOT_WITNESS] = (uint8_t)at;
	return 0;
}

static int run(struct plan *p)
{
	struct cli *c = p->c;
	struct export_args args = {
		.conf = &c->conf,
		.volume = p->v.name,
		.uuid = p->v.uuid,
		.size = p->v.size,
		.shard_blocks = p->v.shard_blocks,
		.nodes = p->node,
		.nnodes = p->n,
		.shards = p->shards,
		.nshards = p->v.nshards,
		.export_name = cmd_opt(&c->line, "name"),
		.read_only = cmd_opt(&c->line, "read-only") != NULL,
		.quiet = cmd_opt(&c->line, "quiet") != NULL,
	};

	return export_run(&args) ? CMD_FAILED : CMD_OK;
}

int cmd_export(struct cli *c)
{
	struct plan *p;
	int err = cli_meta(c, false);

	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return cli_fail(c, "out of memory");
	p->c = c;
	if (meta_volume_get(c->meta, c->line.arg[0], &p->v))
		err = cli_fail_meta(c);
	else
		err = nodes_load(c, &p->nodes);
	if (!err) {
		p->shards = calloc(p->v.nshards, sizeof(*p->shards));
		err = p->shards ? 0 : cli_fail(c, "out of memory");
	}
	for (uint32_t i = 0; !err && i < p->v.nshards; i++)
		err = fill_shard(p, i);
	if (!err)
		err = run(p);
	free(p->shards);
	nodes_free(&p->nodes);
	meta_volume_free(&p->v);
	free(p);
	return err;
}
