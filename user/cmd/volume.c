/* SPDX-License-Identifier: BSD-2-Clause */
/* volume list, volume info */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/admin.h"
#include "cmd/cli.h"
#include "cmd/out.h"

static void date_text(uint64_t seconds, char buf[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(buf, 32, "%Y-%m-%d %H:%M", &tm))
		buf[0] = 0;
}

static json_t *member_json(const struct meta_member *m)
{
	return json_pack("{s:s, s:s}", "node", m->node, "store", cli_uuid(&m->store));
}

static json_t *shard_json(const struct meta_volume *v, uint32_t i)
{
	json_t *members = json_array();

	for (uint32_t k = 0; k < v->shards[i].n; k++)
		json_array_append_new(members, member_json(&v->shards[i].member[k]));
	return json_pack("{s:I, s:I, s:o}", "id", (json_int_t)v->shards[i].id, "blocks",
			 (json_int_t)meta_shard_blocks(v, i), "members", members);
}

static json_t *volume_json(const struct meta_volume *v)
{
	json_t *shards = json_array();

	for (uint32_t i = 0; i < v->nshards; i++)
		json_array_append_new(shards, shard_json(v, i));
	return json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "name", v->name, "uuid",
		cli_uuid(&v->uuid), "size", (json_int_t)v->size, "replicas",
		(json_int_t)v->replicas, "shard_size", (json_int_t)v->shard_blocks * XBD_BLOCK_SIZE,
		"created", (json_int_t)v->created, "witness",
		v->witness.node[0] ? member_json(&v->witness) : json_null(), "shards", shards);
}

static int list_json(const struct meta_volume *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, volume_json(&v[i]));
	return cli_json(json_pack("{s:o}", "volumes", list));
}

static int list_text(const struct meta_volume *v, size_t n)
{
	static const char *const heads[] = {"NAME",    ">SIZE",	  ">REPLICAS",
					    ">SHARDS", "CREATED", NULL};
	struct out *o = out_new(heads);
	char date[32];

	for (size_t i = 0; i < n; i++) {
		date_text(v[i].created, date);
		out_cell(o, "%s", v[i].name);
		out_cell(o, "%s", cli_size(v[i].size));
		out_cell(o, "%u", v[i].replicas);
		out_cell(o, "%u", v[i].nshards);
		out_cell(o, "%s", date);
	}
	out_print(o, stdout);
	if (!n)
		puts("no volumes; \"xbd volume create\" makes one");
	return CMD_OK;
}

int cmd_volume_list(struct cli *c)
{
	struct meta_volume *v;
	size_t n;
	int err = cli_meta(c, false);

	if (err)
		return err;
	if (meta_volume_list(c->meta, &v, &n))
		return cli_fail_meta(c);
	err = c->line.json ? list_json(v, n) : list_text(v, n);
	meta_volume_list_free(v, n);
	return err;
}

static void shard_row(struct out *o, const struct meta_volume *v, uint32_t i)
{
	char nodes[XBD_REPLICAS_MAX * (XBD_NAME_MAX + 2) + 1] = "";
	size_t at = 0;

	for (uint32_t k = 0; k < v->shards[i].n; k++)
		at += (size_t)snprintf(nodes + at, sizeof(nodes) - at, "%s%s", k ? ", " : "",
				       v->shards[i].member[k].node);
	out_cell(o, "%u", v->shards[i].id);
	out_cell(o, "%s", cli_size((uint64_t)i * v->shard_blocks * XBD_BLOCK_SIZE));
	out_cell(o, "%s", cli_size((uint64_t)meta_shard_blocks(v, i) * XBD_BLOCK_SIZE));
	out_cell(o, "%s", nodes);
}

static int info_text(const struct meta_volume *v)
{
	static const char *const heads[] = {">SHARD", ">AT", ">SIZE", "NODES", NULL};
	struct out *o = out_new(heads);
	char date[32];

	date_text(v->created, date);
	printf("volume      %s\n", v->name);
	printf("UUID        %s\n", cli_uuid(&v->uuid));
	printf("size        %s (%llu bytes)\n", cli_size(v->size), (unsigned long long)v->size);
	printf("replicas    %u\n", v->replicas);
	printf("witness     %s\n", v->witness.node[0] ? v->witness.node : "-");
	printf("shard size  %s\n", cli_size((uint64_t)v->shard_blocks * XBD_BLOCK_SIZE));
	printf("created     %s\n\n", date);
	for (uint32_t i = 0; i < v->nshards; i++)
		shard_row(o, v, i);
	out_print(o, stdout);
	return CMD_OK;
}

int cmd_volume_info(struct cli *c)
{
	struct meta_volume v;
	int err = cli_meta(c, false);

	if (err)
		return err;
	if (meta_volume_get(c->meta, c->line.arg[0], &v))
		return cli_fail_meta(c);
	err = c->line.json ? cli_json(volume_json(&v)) : info_text(&v);
	meta_volume_free(&v);
	return err;
}
