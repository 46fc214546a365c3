/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/json.h"

#include <unistd.h>

#include "base/error.h"
#include "config/uuid.h"

static void add_number(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void add_uuid(json_t *o, const char *key, const struct xbd_uuid *u)
{
	char text[XBD_UUID_TEXT];

	xbd_uuid_text(u, text);
	json_object_set_new(o, key, json_string(text));
}

json_t *admin_json_head(const char *kind, const char *name, uint64_t uptime_ms)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:I}", "kind", kind, "name", name, "pid",
			 (int)getpid(), "version", XBD_VERSION_TEXT, "uptime_ms",
			 (json_int_t)uptime_ms);
}

json_t *admin_json_net_info(const struct net_info *info)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:b}", "mode",
			 info->mode_text ? info->mode_text : "", "why", info->why, "interface",
			 info->interface, "mtu", (json_int_t)info->mtu, "frag_len",
			 (json_int_t)info->frag_len, "queues", (json_int_t)info->queues,
			 "dispatcher", info->dispatcher, "multibuf", info->multibuf, "fenced",
			 info->fenced);
}

static json_t *verdicts(const uint64_t *count)
{
	json_t *o = json_object();

#define X(name, what, text) add_number(o, #name, count[XBD_V_##name]);
	XBD_VERDICTS(X)
#undef X
	return o;
}

json_t *admin_json_net(const struct net_info *info, const struct net_counters *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "mode", json_string(info->mode_text ? info->mode_text : ""));
#define X(name, text) add_number(o, #name, c->name);
	NET_COUNTERS(X)
#undef X
	json_object_set_new(o, "verdict", verdicts(c->verdict));
	json_object_set_new(o, "verdict_xdp", verdicts(c->verdict_xdp));
	return o;
}

json_t *admin_json_store_info(const char *path, const struct store_info *info)
{
	json_t *o = json_object();

	if (path)
		json_object_set_new(o, "path", json_string(path));
	add_uuid(o, "uuid", &info->uuid);
	add_uuid(o, "cluster", &info->cluster);
	add_number(o, "boot", info->boot);
	add_number(o, "slots", info->slots);
	add_number(o, "slots_free", info->slots_free);
	add_number(o, "shards", info->shards);
	add_number(o, "shards_max", info->shards_max);
	add_number(o, "mem_bytes", info->mem_bytes);
	add_number(o, "disk_bytes", info->disk_bytes);
	json_object_set_new(o, "failed", json_boolean(info->failed));
	json_object_set_new(o, "fail_error", json_integer(info->fail_error));
	json_object_set_new(o, "fail_text",
			    json_string(info->failed ? xbd_strerror(info->fail_error) : ""));
	return o;
}

json_t *admin_json_store(const struct store_counters *c)
{
	json_t *o = json_object();

#define X(name, text) add_number(o, #name, c->name);
	STORE_COUNTERS(X)
#undef X
	return o;
}

json_t *admin_json_replica(const struct replica_counters *c)
{
	json_t *o = json_object();

#define X(name, text) add_number(o, #name, c->name);
	REPLICA_COUNTERS(X)
#undef X
	return o;
}

json_t *admin_json_co(const struct co_counters *c)
{
	json_t *o = json_object();

#define X(name, text) add_number(o, #name, c->name);
	CO_COUNTERS(X)
#undef X
	return o;
}

json_t *admin_json_state(uint32_t shard, const struct xbd_state *s, uint64_t lease_ms)
{
	json_t *o = json_object();

	add_number(o, "id", shard);
	add_number(o, "epoch", s->prom);
	add_number(o, "synced", s->synced);
	json_object_set_new(o, "retired", json_boolean(s->retired));
	add_number(o, "lease_ms", lease_ms);
	add_uuid(o, "volume", &s->rec.volume);
	return o;
}

const char *admin_phase_text(enum co_shard_phase p)
{
	static const char *const text[] = {
		[CO_OPENING] = "opening",     [CO_RESOLVING] = "resolving",
		[CO_ACCEPTING] = "accepting", [CO_SERVING] = "serving",
		[CO_SUSPENDED] = "suspended", [CO_DEAD] = "dead",
	};

	return (unsigned)p < sizeof(text) / sizeof(text[0]) ? text[p] : "?";
}

const char *admin_rep_text(enum co_rep_state s)
{
	static const char *const text[] = {
		[CO_REP_NONE] = "none",	      [CO_REP_DOWN] = "down",
		[CO_REP_LEARNER] = "learner", [CO_REP_LAGGING] = "lagging",
		[CO_REP_SYNCED] = "synced",
	};

	return (unsigned)s < sizeof(text) / sizeof(text[0]) ? text[s] : "?";
}

static json_t *replica(unsigned slot, const struct co_rep_status *r, const char *node)
{
	json_t *o = json_object();

	add_number(o, "slot", slot);
	json_object_set_new(o, "node", json_string(node ? node : "?"));
	json_object_set_new(o, "witness", json_boolean(slot == XBD_SLOT_WITNESS));
	json_object_set_new(o, "state", json_string(admin_rep_text(r->state)));
	add_uuid(o, "store", &r->store);
	add_number(o, "lag_regions", r->lag_regions);
	add_number(o, "rtt_us", r->rtt_us);
	add_number(o, "inflight_bytes", r->inflight_bytes);
	return o;
}

json_t *admin_json_shard(const struct co_shard_status *s,
			 const char *(*node_name)(void *ctx, uint8_t node), void *ctx)
{
	json_t *o = json_object(), *reps = json_array();

	add_number(o, "id", s->id);
	add_number(o, "epoch", s->epoch);
	json_object_set_new(o, "phase", json_string(admin_phase_text(s->phase)));
	add_number(o, "n", s->n);
	add_number(o, "w", s->w);
	add_number(o, "inflight", s->inflight);
	for (unsigned i = 0; i < XBD_SLOTS; i++)
		if (s->rep[i].state != CO_REP_NONE)
			json_array_append_new(
				reps, replica(i, &s->rep[i], node_name(ctx, s->rep[i].node)));
	json_object_set_new(o, "replicas", reps);
	return o;
}
