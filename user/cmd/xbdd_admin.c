/* SPDX-License-Identifier: BSD-2-Clause */
/* What the storage daemon answers on its control socket. */
#include <stdlib.h>

#include "admin/json.h"
#include "cmd/xbdd.h"

static uint64_t uptime_ms(const struct xbdd *d)
{
	return (loop_now(&d->loop) - d->start_ns) / 1000000;
}

static json_t *disk_json(const struct xbdd *d)
{
	struct io_disk_info info;
	json_t *j;

	io_disk_info(d->disk, &info);
	j = json_pack("{s:b,s:b,s:b,s:b,s:I,s:b}", "direct", info.direct, "block_device",
		      info.block_device, "fixed_file", info.fixed_file, "fixed_buffers",
		      info.fixed_buffers, "block_size",
		      (json_int_t)io_disk_get(d->disk)->block_size, "volatile_cache",
		      io_disk_get(d->disk)->volatile_cache);
	return j;
}

static json_t *disk_counters(const struct xbdd *d)
{
	struct io_disk_info info;
	json_t *j = json_object();

	io_disk_info(d->disk, &info);
#define X(name, text) json_object_set_new(j, #name, json_integer((json_int_t)info.name));
	IO_DISK_COUNTERS(X)
#undef X
	return j;
}

static json_t *loop_counters(const struct xbdd *d)
{
	json_t *j = json_object();

#define X(name, text) json_object_set_new(j, #name, json_integer((json_int_t)d->loop.stats.name));
	LOOP_COUNTERS(X)
#undef X
	return j;
}

static json_t *shards_json(const struct xbdd *d)
{
	size_t n = store_shards(d->store, NULL, 0);
	uint32_t *ids = calloc(n + 1, sizeof(*ids));
	json_t *j = json_array();

	if (!ids) {
		json_decref(j);
		return NULL;
	}
	n = store_shards(d->store, ids, n);
	for (size_t i = 0; i < n; i++) {
		uint64_t left = replica_lease_left(d->replica, ids[i], loop_now(&d->loop));
		const struct xbd_state *s = store_state(d->store, ids[i]);

		if (s)
			json_array_append_new(j, admin_json_state(ids[i], s, left / 1000000));
	}
	free(ids);
	return j;
}

static json_t *status(void *ctx, const json_t *req)
{
	struct xbdd *d = ctx;
	json_t *j = admin_json_head("node", d->conf.node.name, uptime_ms(d));
	struct store_info store;
	struct net_info net;

	store_info(d->store, &store);
	net_info(d->net, &net);
	json_object_set_new(j, "listen", json_string(d->listen));
	json_object_set_new(j, "store", admin_json_store_info(d->conf.node.store, &store));
	json_object_set_new(j, "disk", disk_json(d));
	json_object_set_new(j, "net", admin_json_net_info(&net));
	json_object_set_new(j, "shards", shards_json(d));
	return j;
}

static json_t *stats(void *ctx, const json_t *req)
{
	struct xbdd *d = ctx;
	json_t *j = admin_json_head("node", d->conf.node.name, uptime_ms(d));
	struct replica_counters replica;
	struct store_counters store;
	struct net_counters net;
	struct net_info info;

	net_info(d->net, &info);
	net_counters(d->net, &net);
	store_counters(d->store, &store);
	replica_counters(d->replica, &replica);
	json_object_set_new(j, "net", admin_json_net(&info, &net));
	json_object_set_new(j, "replica", admin_json_replica(&replica));
	json_object_set_new(j, "store", admin_json_store(&store));
	json_object_set_new(j, "disk", disk_counters(d));
	json_object_set_new(j, "loop", loop_counters(d));
	return j;
}

const struct admin_handler xbdd_handlers[] = {
	{"status", status},
	{"stats", stats},
	{NULL, NULL},
};
