/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The JSON that daemons answer, built from the X-macro tables so that a counter that is added there
 * shows up here. Keys are stable: `xbd status`, `xbd stats` and people's scripts read them.
 *
 * status of a node:   {"kind":"node","name":N,"pid":N,"version":T,"uptime_ms":N,"listen":"A:P",
 *                      "store":{...},"net":{...},"shards":[{"id":N,"epoch":N,"synced":N,
 *                      "retired":B,"lease_ms":N}]}
 * status of an export: {"kind":"export","name":VOLUME,"pid":..,"version":..,"uptime_ms":..,
 *                      "volume":{"name","uuid","size"},"serving":B,"dead":B,"clients":N,
 *                      "listen":["unix:PATH","tcp:A:P"],"net":{...},
 *                      "shards":[{"id","epoch","phase","n","w","inflight","replicas":[{"slot",
 *                      "node","state","store","lag_regions","rtt_us","inflight_bytes"}]}]}
 * stats:               {"kind","name","uptime_ms","net":{...},"store":{...},"replica":{...}} or
 *                      {..., "net":{...},"co":{...},"nbd":{...}}: whichever objects there are
 *                      numbers; objects inside are groups of numbers
 *
 * All functions return a new reference or NULL for no memory; json_object_set_new() and so
 * admin_json_add() take NULL without harm.
 */
#ifndef XBD_ADMIN_JSON_H
#define XBD_ADMIN_JSON_H

#include <jansson.h>

#include "coordinator/coordinator.h"
#include "net/net.h"
#include "replica/replica.h"
#include "store/store.h"

/* {"kind","name","pid","version","uptime_ms"}: where status and stats start. */
json_t *admin_json_head(const char *kind, const char *name, uint64_t uptime_ms);

/* {"mode","why","interface","mtu","frag_len","queues","dispatcher","multibuf","fenced"} */
json_t *admin_json_net_info(const struct net_info *info);
/* Counters of NET_COUNTERS, and "verdict", "verdict_xdp": {"STEERED":n,...}; "mode" from info. */
json_t *admin_json_net(const struct net_info *info, const struct net_counters *c);
/* {"path","uuid","cluster","boot","slots","slots_free","shards","shards_max","mem_bytes",
 * "disk_bytes","failed","fail_error","fail_text"}; path may be NULL */
json_t *admin_json_store_info(const char *path, const struct store_info *info);
json_t *admin_json_store(const struct store_counters *c);
json_t *admin_json_replica(const struct replica_counters *c);
json_t *admin_json_co(const struct co_counters *c);
/* One shard as held by a node; lease_ms: what the lease still runs. */
json_t *admin_json_state(uint32_t shard, const struct xbd_state *s, uint64_t lease_ms);
/* One shard of an export. node_name(ctx, index) names a node of co_config; may return NULL. */
json_t *admin_json_shard(const struct co_shard_status *s,
			 const char *(*node_name)(void *ctx, uint8_t node), void *ctx);

const char *admin_phase_text(enum co_shard_phase p);
const char *admin_rep_text(enum co_rep_state s);

#endif
