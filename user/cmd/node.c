/* SPDX-License-Identifier: BSD-2-Clause */
/* node add, node list, node info, node remove, node run */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cmd/out.h"
#include "cmd/shards.h"
#include "cmd/wire_call.h"

/* The cluster's record, made if there is none yet. */
static int load_cluster(struct cli *c, struct meta_cluster *cl)
{
	int err = meta_cluster_get(c->meta, cl);

	if (!err)
		return 0;
	if (err != -XBD_ENOTFOUND)
		return cli_fail_meta(c);
	*cl = (struct meta_cluster){.uuid = c->conf.cluster, .next_shard = 1};
	if (uuid_zero(&cl->uuid) && xbd_uuid_random(&cl->uuid))
		return cli_fail(c, "no random numbers");
	return meta_cluster_put(c->meta, cl) ? cli_fail_meta(c) : 0;
}

/* Is what answers the node that the user means, and one that can be added? */
static int check_info(struct cli *c, const char *name, const char *addr,
		      const struct xbd_info *info)
{
	struct meta_cluster cl;
	int err = load_cluster(c, &cl);

	if (err)
		return err;
	if (strncmp(info->name, name, sizeof(info->name)))
		return cli_fail(c, "the node at %s calls itself \"%.*s\", not \"%s\"", addr,
				(int)sizeof(info->name), info->name, name);
	if (info->flags & XBD_INFO_FAILED)
		return cli_fail(c, "node %s (%s) is out of service after a disk error", name, addr);
	if (!uuid_zero(&info->cluster) && !uuid_equal(&info->cluster, &cl.uuid))
		return cli_fail(c, "the store of node %s belongs to cluster %s, this is cluster %s",
				name, cli_uuid(&info->cluster), cli_uuid(&cl.uuid));
	return 0;
}

/* Two names for one store would put two replicas on one disk. */
static int check_others(struct cli *c, const struct nodes *nodes, const struct meta_node *n)
{
	for (size_t i = 0; i < nodes->n; i++) {
		const struct meta_node *o = &nodes->node[i];

		if (!strcmp(o->name, n->name)) {
			if (uuid_equal(&o->store, &n->store))
				continue;
			return cli_fail(
				c,
				"node %s is known with another store, %s; remove it first if "
				"its disk was replaced",
				n->name, cli_uuid(&o->store));
		}
		if (uuid_equal(&o->store, &n->store))
			return cli_fail(c, "this store is known already, as node %s", o->name);
		if (!strcmp(o->addr, n->addr))
			return cli_fail(c, "the address %s is node %s's", n->addr, o->name);
	}
	return 0;
}

static int store_node(struct cli *c, struct meta_node *n)
{
	struct nodes nodes;
	const struct meta_node *old;
	int err = nodes_load(c, &nodes);

	if (err)
		return err;
	err = check_others(c, &nodes, n);
	old = nodes_find(&nodes, n->name);
	n->version = old ? old->version : 0;
	nodes_free(&nodes);
	if (err)
		return err;
	return meta_node_put(c->meta, n) ? cli_fail_meta(c) : 0;
}

static json_t *node_json(const struct meta_node *n)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:I}", "name", n->name, "address", n->addr, "store",
			 cli_uuid(&n->store), "witness", n->witness, "size",
			 (json_int_t)(n->blocks * XBD_BLOCK_SIZE));
}

int cmd_node_add(struct cli *c)
{
	struct meta_node n = {0};
	struct sockaddr_storage ss;
	char why[CMD_WHY_MAX];
	struct xbd_info info;
	const char *wrong;
	int err;

	if (text_name(c->line.arg[0], "node name", why, sizeof(why)) ||
	    text_addr(c->line.arg[1], XBD_PORT, &ss, NULL, why, sizeof(why))) {
		cli_fail(c, "%s", why);
		return CMD_USAGE;
	}
	snprintf(n.name, sizeof(n.name), "%s", c->line.arg[0]);
	text_addr_format((struct sockaddr *)&ss, n.addr, sizeof(n.addr));
	if (wire_info(&ss, &info, &wrong))
		return cli_fail(c, "%s %s", n.addr, wrong);
	err = cli_meta(c, true);
	if (!err)
		err = check_info(c, n.name, n.addr, &info);
	if (err)
		return err;
	n.store = info.store;
	n.witness = info.flags & XBD_INFO_WITNESS;
	n.blocks = info.blocks;
	err = store_node(c, &n);
	if (err)
		return err;
	if (c->line.json)
		return cli_json(node_json(&n));
	printf("node %s: %s, store %s, %s%s\n", n.name, n.addr, cli_uuid(&n.store),
	       cli_size(n.blocks * XBD_BLOCK_SIZE), n.witness ? ", witness" : "");
	return CMD_OK;
}

/* Shards that the metadata puts on a node. */
static uint64_t shards_on(const char *name, const struct meta_volume *v, size_t nv)
{
	uint64_t count = 0;

	for (size_t i = 0; i < nv; i++) {
		for (uint32_t s = 0; s < v[i].nshards; s++)
			for (uint32_t m = 0; m < v[i].shards[s].n; m++)
				count += !strcmp(v[i].shards[s].member[m].node, name);
		if (!strcmp(v[i].witness.node, name))
			count += v[i].nshards;
	}
	return count;
}

static int list_json(const struct nodes *nodes, const struct meta_volume *v, size_t nv)
{
	json_t *list = json_array();

	for (size_t i = 0; i < nodes->n; i++) {
		json_t *o = node_json(&nodes->node[i]);

		json_object_set_new(
			o, "shards",
			json_integer((json_int_t)shards_on(nodes->node[i].name, v, nv)));
		json_array_append_new(list, o);
	}
	return cli_json(json_pack("{s:o}", "nodes", list));
}

static int list_text(const struct nodes *nodes, const struct meta_volume *v, size_t nv)
{
	static const char *const heads[] = {"NAME",    "ADDRESS", ">SIZE", ">SHARDS",
					    "WITNESS", "STORE",	  NULL};
	struct out *o = out_new(heads);

	for (size_t i = 0; i < nodes->n; i++) {
		const struct meta_node *n = &nodes->node[i];

		out_cell(o, "%s", n->name);
		out_cell(o, "%s", n->addr);
		out_cell(o, "%s", cli_size(n->blocks * XBD_BLOCK_SIZE));
		out_cell(o, "%llu", (unsigned long long)shards_on(n->name, v, nv));
		out_cell(o, "%s", n->witness ? "yes" : "no");
		out_cell(o, "%s", cli_uuid(&n->store));
	}
	out_print(o, stdout);
	if (!nodes->n)
		puts("no nodes; \"xbd node add\" makes one known");
	return CMD_OK;
}

int cmd_node_list(struct cli *c)
{
	struct nodes nodes;
	struct meta_volume *v;
	size_t nv;
	int err = cli_meta(c, false);

	if (!err)
		err = nodes_load(c, &nodes);
	if (err)
		return err;
	if (meta_volume_list(c->meta, &v, &nv)) {
		nodes_free(&nodes);
		return cli_fail_meta(c);
	}
	err = c->line.json ? list_json(&nodes, v, nv) : list_text(&nodes, v, nv);
	meta_volume_list_free(v, nv);
	nodes_free(&nodes);
	return err;
}

static void info_text(const struct meta_node *n, const struct xbd_info *info)
{
	bool same = uuid_equal(&n->store, &info->store);

	printf("node      %s%s\n", n->name, n->witness ? " (witness)" : "");
	printf("address   %s\n", n->addr);
	printf("state     %s%s%s\n", info->flags & XBD_INFO_FAILED || !same ? out_red() : "",
	       info->flags & XBD_INFO_FAILED ? "out of service after a disk error"
	       : same			     ? "running"
					     : "another store than the metadata says",
	       out_plain());
	printf("store     %s\n", cli_uuid(&info->store));
	if (!same)
		printf("metadata  %s\n", cli_uuid(&n->store));
	printf("size      %s, %s free\n", cli_size(info->blocks * XBD_BLOCK_SIZE),
	       cli_size(info->blocks_free * XBD_BLOCK_SIZE));
	printf("shards    %u\n", info->shards);
	printf("up for    %llu s, start number %llu\n", (unsigned long long)info->alive_ms / 1000,
	       (unsigned long long)info->boot);
}

static json_t *info_json(const struct meta_node *n, const struct xbd_info *info)
{
	json_t *o = node_json(n);

	json_object_set_new(o, "live",
			    json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "store",
				      cli_uuid(&info->store), "cluster", cli_uuid(&info->cluster),
				      "boot", (json_int_t)info->boot, "size",
				      (json_int_t)(info->blocks * XBD_BLOCK_SIZE), "free",
				      (json_int_t)(info->blocks_free * XBD_BLOCK_SIZE), "shards",
				      (json_int_t)info->shards, "alive_ms",
				      (json_int_t)info->alive_ms, "witness",
				      !!(info->flags & XBD_INFO_WITNESS), "failed",
				      !!(info->flags & XBD_INFO_FAILED)));
	return o;
}

int cmd_node_info(struct cli *c)
{
	struct sockaddr_storage ss;
	struct xbd_info info;
	struct meta_node n;
	const char *wrong;
	int err = cli_meta(c, false);

	if (err)
		return err;
	if (meta_node_get(c->meta, c->line.arg[0], &n))
		return cli_fail_meta(c);
	if (text_addr(n.addr, XBD_PORT, &ss, NULL, NULL, 0) || wire_info(&ss, &info, &wrong))
		return cli_fail(c, "node %s (%s) %s", n.name, n.addr, wrong);
	if (c->line.json)
		return cli_json(info_json(&n, &info));
	info_text(&n, &info);
	return CMD_OK;
}

/* The first volume that has something on the node. */
static const char *user_of(const char *name, const struct meta_volume *v, size_t nv)
{
	for (size_t i = 0; i < nv; i++)
		if (shards_on(name, &v[i], 1))
			return v[i].name;
	return NULL;
}

int cmd_node_remove(struct cli *c)
{
	const char *name = c->line.arg[0], *user;
	struct meta_volume *v;
	struct meta_node n;
	size_t nv;
	int err = cli_meta(c, false);

	if (err)
		return err;
	if (meta_node_get(c->meta, name, &n) || meta_volume_list(c->meta, &v, &nv))
		return cli_fail_meta(c);
	user = user_of(name, v, nv);
	if (user)
		err = cli_fail(c, "node %s holds %llu shards, of volume %s for one", name,
			       (unsigned long long)shards_on(name, v, nv), user);
	meta_volume_list_free(v, nv);
	if (err)
		return err;
	if (meta_node_delete(c->meta, name, n.version))
		return cli_fail_meta(c);
	printf("node %s: removed\n", name);
	return CMD_OK;
}

/* xbdd beside this program, or wherever PATH has it. */
static void find_xbdd(char *buf, size_t size)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash) {
		snprintf(buf, size, "%.*s/xbdd", (int)(slash - self), self);
		if (!access(buf, X_OK))
			return;
	}
	snprintf(buf, size, "xbdd");
}

int cmd_node_run(struct cli *c)
{
	char *args[2 * (CMD_OPTS_MAX + 8) + 2], program[4096];
	unsigned n = 0;

	find_xbdd(program, sizeof(program));
	args[n++] = "xbdd";
	for (unsigned i = 0; i < c->line.nvalues; i++) {
		const struct cmd_value *v = &c->line.value[i];

		if (asprintf(&args[n++], *v->text ? "--%s=%s" : "--%s", v->opt->name, v->text) < 0)
			return cli_fail(c, "out of memory");
	}
	args[n] = NULL;
	execvp(program, args);
	return cli_fail(c, "cannot run %s: %s", program, strerror(errno));
}
