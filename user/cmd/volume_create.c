/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "cmd/plan.h"
#include "placement/placement.h"

static int usage(const struct cli *c, const char *option, const char *what)
{
	cli_fail(c, "%s: %s", option, what);
	return CMD_USAGE;
}

static int check_options(const struct cli *c, uint64_t size, uint64_t shard_size)
{
	if (!size || size % XBD_BLOCK_SIZE)
		return usage(c, "--size", "must be a multiple of 4 KiB and not 0");
	if (size > INT64_MAX)
		return usage(c, "--size", "larger than 8 EiB");
	if (!shard_size || shard_size % PLACE_SHARD_UNIT || shard_size > PLACE_SHARD_MAX)
		return usage(c, "--shard-size", "must be a multiple of 128M, at most 64G");
	return 0;
}

static int fill(struct cli *c, struct meta_volume *v)
{
	uint64_t shard_size = cmd_opt_size(&c->line, "shard-size", PLACE_SHARD_MAX);
	char why[CMD_WHY_MAX];
	int err;

	*v = (struct meta_volume){
		.size = cmd_opt_size(&c->line, "size", 0),
		.replicas = (uint32_t)cmd_opt_number(&c->line, "replicas", 3),
		.table_no = 1,
		.created = (uint64_t)time(NULL),
	};
	if (text_name(c->line.arg[0], "volume name", why, sizeof(why))) {
		cli_fail(c, "%s", why);
		return CMD_USAGE;
	}
	snprintf(v->name, sizeof(v->name), "%s", c->line.arg[0]);
	err = check_options(c, v->size, shard_size);
	if (err)
		return err;
	v->shard_blocks = (uint32_t)(shard_size / XBD_BLOCK_SIZE);
	err = xbd_uuid_random(&v->uuid);
	if (!err)
		err = xbd_random(&v->gen, sizeof(v->gen));
	return err ? cli_fail(c, "no random numbers: %s", xbd_strerror(err)) : 0;
}

static int set_witness(struct cli *c, const struct nodes *nodes, struct meta_volume *v)
{
	const char *name = cmd_opt(&c->line, "witness");
	const struct meta_node *n;

	if (!name)
		return 0;
	n = nodes_find(nodes, name);
	if (!n)
		return cli_fail(c, "--witness: no node \"%s\"; \"xbd node list\" lists them", name);
	if (!n->witness)
		return cli_fail(c,
				"--witness: node %s is not a witness: set node.witness in its "
				"configuration and add it again",
				name);
	memcpy(v->witness.node, n->name, sizeof(n->name));
	v->witness.store = n->store;
	return 0;
}

/* The name is free? Asked first, so that nothing is done in vain. */
static int check_name(struct cli *c, const char *name)
{
	struct meta_volume old;
	int err = meta_volume_get(c->meta, name, &old);

	if (err == -XBD_ENOTFOUND)
		return 0;
	if (err)
		return cli_fail_meta(c);
	meta_volume_free(&old);
	return cli_fail(c, "volume %s exists already", name);
}

static int show(const struct cli *c, const struct meta_volume *v)
{
	if (c->line.json)
		return cli_json(json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", v->name, "uuid",
					  cli_uuid(&v->uuid), "size", (json_int_t)v->size,
					  "replicas", (json_int_t)v->replicas, "shards",
					  (json_int_t)v->nshards));
	printf("volume %s: %s, %u replica%s, %u shard%s, UUID %s\n", v->name, cli_size(v->size),
	       v->replicas, v->replicas == 1 ? "" : "s", v->nshards, v->nshards == 1 ? "" : "s",
	       cli_uuid(&v->uuid));
	return CMD_OK;
}

static int make(struct cli *c, const struct nodes *nodes, struct meta_volume *v)
{
	int err = set_witness(c, nodes, v);

	if (!err)
		err = plan_shards(c, nodes, v, cmd_opt(&c->line, "nodes"));
	if (!err)
		err = shards_check_nodes(c, nodes, v, 0, false);
	if (!err)
		err = shards_create(c, nodes, v, 0);
	if (err)
		return err;
	if (meta_volume_put(c->meta, v)) {
		err = cli_fail_meta(c);
		shards_retire(c, nodes, v, 0, true);
		return err;
	}
	return show(c, v);
}

int cmd_volume_create(struct cli *c)
{
	struct meta_volume v;
	struct nodes nodes;
	int err = fill(c, &v);

	if (!err)
		err = cli_meta(c, true);
	if (!err)
		err = check_name(c, v.name);
	if (!err)
		err = nodes_load(c, &nodes);
	if (err)
		return err;
	err = make(c, &nodes, &v);
	meta_volume_free(&v);
	nodes_free(&nodes);
	return err;
}
