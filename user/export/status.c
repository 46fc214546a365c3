/* SPDX-License-Identifier: BSD-2-Clause */
/* What the exporting process answers on its control socket. */
#include <stdio.h>

#include "admin/json.h"
#include "export/private.h"

static uint64_t uptime_ms(const struct export *x)
{
	return (loop_now(&x->loop) - x->start_ns) / 1000000;
}

static const char *node_name(void *ctx, uint8_t node)
{
	const struct export *x = ctx;

	return node < x->args->nnodes ? x->args->nodes[node].name : NULL;
}

static json_t *volume_json(const struct export *x)
{
	char uuid[XBD_UUID_TEXT];

	xbd_uuid_text(&x->args->uuid, uuid);
	return json_pack("{s:s,s:s,s:I,s:b}", "name", x->args->volume, "uuid", uuid, "size",
			 (json_int_t)x->args->size, "read_only", x->args->read_only);
}

static json_t *listen_json(const struct export *x)
{
	char text[sizeof(x->unix_path) + 16];
	json_t *j = json_array();

	if (!x->nbd)
		return j;
	if (x->unix_path[0]) {
		snprintf(text, sizeof(text), "unix:%s", x->unix_path);
		json_array_append_new(j, json_string(text));
	}
	if (x->tcp.ss_family) {
		snprintf(text, sizeof(text), "tcp:%s", x->tcp_text);
		json_array_append_new(j, json_string(text));
	}
	return j;
}

static json_t *shards_json(struct export *x)
{
	json_t *j = json_array();
	struct co_shard_status s;

	for (uint32_t i = 0; i < x->args->nshards && co_shard_status(x->co, i, &s); i++)
		json_array_append_new(j, admin_json_shard(&s, node_name, x));
	return j;
}

static json_t *status(void *ctx, const json_t *req)
{
	struct export *x = ctx;
	json_t *j = admin_json_head("export", x->args->volume, uptime_ms(x));
	unsigned clients = x->nbd ? nbd_server_conns(x->nbd) : 0;
	struct net_info net;

	net_info(x->net, &net);
	json_object_set_new(j, "volume", volume_json(x));
	json_object_set_new(j, "serving", json_boolean(export_serves(x)));
	json_object_set_new(j, "dead", json_boolean(co_dead(x->co)));
	json_object_set_new(j, "clients", json_integer(clients));
	json_object_set_new(j, "listen", listen_json(x));
	json_object_set_new(j, "net", admin_json_net_info(&net));
	json_object_set_new(j, "shards", shards_json(x));
	return j;
}

static json_t *nbd_json(const struct export *x)
{
	const struct nbd_counters none = {0}, *c = x->nbd ? nbd_server_counters(x->nbd) : &none;
	json_t *j = json_object();

#define X(name, text) json_object_set_new(j, #name, json_integer((json_int_t)c->name));
	NBD_COUNTERS(X)
#undef X
	return j;
}

static json_t *loop_json(const struct export *x)
{
	json_t *j = json_object();

#define X(name, text) json_object_set_new(j, #name, json_integer((json_int_t)x->loop.stats.name));
	LOOP_COUNTERS(X)
#undef X
	return j;
}

static json_t *stats(void *ctx, const json_t *req)
{
	struct export *x = ctx;
	json_t *j = admin_json_head("export", x->args->volume, uptime_ms(x)), *co, *net;
	struct co_counters cc;
	struct net_counters nc;
	struct net_info info;

	net_info(x->net, &info);
	net_counters(x->net, &nc);
	co_counters(x->co, &cc);
	net = admin_json_net(&info, &nc);
	json_object_set_new(net, "strangers", json_integer((json_int_t)x->strangers));
	co = admin_json_co(&cc);
	json_object_set_new(co, "mem_bytes", json_integer((json_int_t)co_mem_bytes(x->co)));
	json_object_set_new(j, "net", net);
	json_object_set_new(j, "co", co);
	json_object_set_new(j, "nbd", nbd_json(x));
	json_object_set_new(j, "loop", loop_json(x));
	return j;
}

const struct admin_handler export_handlers[] = {
	{"status", status},
	{"stats", stats},
	{NULL, NULL},
};
