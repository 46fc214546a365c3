/* SPDX-License-Identifier: BSD-2-Clause */
/* volume resize, volume delete */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "cmd/plan.h"

static int load(struct cli *c, struct meta_volume *v, struct nodes *nodes)
{
	int err = cli_meta(c, false);

	if (err)
		return err;
	if (meta_volume_get(c->meta, c->line.arg[0], v))
		return cli_fail_meta(c);
	err = nodes_load(c, nodes);
	if (err)
		meta_volume_free(v);
	return err;
}

/* Is there an export of this volume on this host? */
static bool exported_here(const struct cli *c, const char *volume)
{
	char path[256], why[ADMIN_WHY_MAX];
	json_t *answer = NULL;
	bool yes = !admin_path(path, sizeof(path), c->conf.run_dir, "export", volume) &&
		   !admin_call(path, "status", &answer, why, sizeof(why));

	json_decref(answer);
	return yes;
}

static int grow(struct cli *c, const struct nodes *nodes, struct meta_volume *v, uint64_t size)
{
	uint32_t had = v->nshards;
	int err;

	v->size = size;
	err = plan_shards(c, nodes, v, NULL);
	if (!err && v->nshards > had)
		err = shards_check_nodes(c, nodes, v, had, false);
	if (!err && v->nshards > had)
		err = shards_create(c, nodes, v, had);
	if (err)
		return err;
	if (meta_volume_put(c->meta, v)) {
		err = cli_fail_meta(c);
		shards_retire(c, nodes, v, had, true);
	}
	return err;
}

static int resize(struct cli *c, const struct nodes *nodes, struct meta_volume *v)
{
	uint64_t size = cmd_opt_size(&c->line, "size", 0), old = v->size;
	int err;

	if (!size || size % XBD_BLOCK_SIZE || size > INT64_MAX) {
		cli_fail(c, "--size: must be a multiple of 4 KiB and not 0");
		return CMD_USAGE;
	}
	if (size < old)
		return cli_fail(
			c,
			"volume %s is %s large and cannot be made smaller: whatever lies at "
			"its end would be lost",
			v->name, cli_size(old));
	err = size == old ? 0 : grow(c, nodes, v, size);
	if (err)
		return err;
	if (c->line.json)
		return cli_json(json_pack("{s:s, s:I, s:I, s:I}", "name", v->name, "size",
					  (json_int_t)size, "old_size", (json_int_t)old, "shards",
					  (json_int_t)v->nshards));
	if (size == old)
		printf("volume %s: is %s large already\n", v->name, cli_size(size));
	else
		printf("volume %s: %s, was %s; a running export serves the new size once it is "
		       "started again\n",
		       v->name, cli_size(size), cli_size(old));
	return CMD_OK;
}

int cmd_volume_resize(struct cli *c)
{
	struct meta_volume v;
	struct nodes nodes;
	int err = load(c, &v, &nodes);

	if (err)
		return err;
	err = resize(c, &nodes, &v);
	meta_volume_free(&v);
	nodes_free(&nodes);
	return err;
}

static int delete_volume(struct cli *c, const struct nodes *nodes, const struct meta_volume *v)
{
	bool force = cmd_opt(&c->line, "force") != NULL;
	int err;

	if (exported_here(c, v->name))
		return cli_fail(c, "volume %s is exported on this host: stop the export first",
				v->name);
	err = shards_check_nodes(c, nodes, v, 0, force);
	if (!err)
		err = shards_retire(c, nodes, v, 0, force);
	if (err) {
		cli_note("volume %s stays in the metadata; delete it again when this is solved",
			 v->name);
		return err;
	}
	if (meta_volume_delete(c->meta, v->name, v->version))
		return cli_fail_meta(c);
	printf("volume %s: deleted\n", v->name);
	return CMD_OK;
}

int cmd_volume_delete(struct cli *c)
{
	struct meta_volume v;
	struct nodes nodes;
	int err = load(c, &v, &nodes);

	if (err)
		return err;
	err = delete_volume(c, &nodes, &v);
	meta_volume_free(&v);
	nodes_free(&nodes);
	return err;
}
