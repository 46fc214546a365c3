/* SPDX-License-Identifier: BSD-2-Clause */
/* xbd export: from the volume's record to the arguments of the exporting process. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cmd/shards.h"
#include "export/export.h"

/* What export_run borrows. */
struct plan {
	struct nodes known;
	struct meta_volume volume;
	struct export_node node[CO_NODES_MAX];
	uint32_t nnodes;
	struct co_shard_config *shards;
};

/* Index of a member's node in p->node, which is extended if needed; -1 after a message. */
static int node_index(struct cli *c, struct plan *p, const struct meta_member *m)
{
	const struct meta_node *known;
	struct export_node *n;
	char why[CONF_WHY_MAX];

	for (uint32_t i = 0; i < p->nnodes; i++)
		if (!strcmp(p->node[i].name, m->node))
			return (int)i;
	known = nodes_find(&p->known, m->node);
	if (!known) {
		cli_fail(c, "volume %s lies on node %s, which is not known: xbd node add %s ADDR",
			 p->volume.name, m->node, m->node);
		return -1;
	}
	if (p->nnodes == CO_NODES_MAX) {
		cli_fail(c, "volume %s lies on more than %u nodes", p->volume.name, CO_NODES_MAX);
		return -1;
	}
	n = &p->node[p->nnodes];
	memcpy(n->name, known->name, sizeof(n->name));
	if (text_addr(known->addr, XBD_PORT, &n->addr, &n->addr_len, why, sizeof(why))) {
		cli_fail(c, "address of node %s: %s", known->name, why);
		return -1;
	}
	return (int)p->nnodes++;
}

static int plan_shard(struct cli *c, struct plan *p, uint32_t index)
{
	const struct meta_shard *s = &p->volume.shards[index];
	struct co_shard_config *out = &p->shards[index];
	int node;

	out->id = s->id;
	out->blocks = meta_shard_blocks(&p->volume, index);
	memset(out->node, XBD_SLOT_NONE, sizeof(out->node));
	meta_shard_record(&p->volume, index, &out->rec);
	for (uint32_t i = 0; i < s->n; i++) {
		node = node_index(c, p, &s->member[i]);
		if (node < 0)
			return CMD_FAILED;
		out->node[i] = (uint8_t)node;
	}
	if (!p->volume.witness.node[0])
		return CMD_OK;
	node = node_index(c, p, &p->volume.witness);
	if (node < 0)
		return CMD_FAILED;
	out->node[XBD_SLOT_WITNESS] = (uint8_t)node;
	return CMD_OK;
}

static int make_plan(struct cli *c, struct plan *p)
{
	int err = nodes_load(c, &p->known);

	if (err)
		return err;
	p->shards = calloc(p->volume.nshards, sizeof(*p->shards));
	if (!p->shards)
		return cli_fail(c, "%s", xbd_strerror(-ENOMEM));
	for (uint32_t i = 0; i < p->volume.nshards; i++)
		if (plan_shard(c, p, i))
			return CMD_FAILED;
	return CMD_OK;
}

static int run(struct cli *c, const struct plan *p)
{
	struct export_args args = {
		.conf = &c->conf,
		.volume = p->volume.name,
		.uuid = p->volume.uuid,
		.size = p->volume.size,
		.shard_blocks = p->volume.shard_blocks,
		.nodes = p->node,
		.nnodes = p->nnodes,
		.shards = p->shards,
		.nshards = p->volume.nshards,
		.export_name = cmd_opt(&c->line, "name"),
		.read_only = cmd_opt(&c->line, "read-only") != NULL,
		.quiet = cmd_opt(&c->line, "quiet") != NULL,
	};

	return export_run(&args) ? CMD_FAILED : CMD_OK;
}

int cmd_export(struct cli *c)
{
	static struct plan p;
	int err = cli_meta(c, false);

	if (err)
		return err;
	if (meta_volume_get(c->meta, c->line.arg[0], &p.volume))
		return cli_fail_meta(c);
	err = make_plan(c, &p);
	if (!err)
		err = run(c, &p);
	nodes_free(&p.known);
	free(p.shards);
	meta_volume_free(&p.volume);
	return err;
}
