/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps of the programs; their values are in proto/maps.h. */
#ifndef XBD_KERN_MAPS_H
#define XBD_KERN_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "proto/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xbd_xdp_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XBD_LOCAL_MAX);
	__type(key, struct xbd_address);
	__type(value, __u32);
} local SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XBD_KEYS);
	__type(key, __u32);
	__type(value, struct xbd_key_entry);
} keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XBD_SHARDS_MAX);
	__type(key, __u32);
	__type(value, struct xbd_fence);
} fence SEC(".maps");

/* Packets by enum xbd_verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XBD_V_END);
	__type(key, __u32);
	__type(value, __u64);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XBD_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

#endif
