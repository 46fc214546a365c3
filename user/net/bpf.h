/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program of a storage node: load, attach, its maps. It is attached by a BPF link, which
 * goes when the process goes, unless a libxdp dispatcher is on the interface already: then the
 * program joins the others there.
 */
#ifndef XBD_NET_BPF_H
#define XBD_NET_BPF_H

#include "core/codec.h"
#include "net/iface.h"
#include "proto/maps.h"

struct xprog;

/* why (256 bytes): one line on failure. */
int xprog_load(struct xprog **out, char *why);
/* Detaches as well. NULL is fine. */
void xprog_close(struct xprog *x);

int xprog_configure(struct xprog *x, const struct xbd_xdp_config *cfg);
int xprog_add_local(struct xprog *x, const struct xbd_address *a);
int xprog_set_keys(struct xprog *x, const struct xbd_keyring *kr);

/* native: in the driver; otherwise in the kernel's generic path. */
int xprog_attach(struct xprog *x, const struct iface *iface, bool native, char *why);
void xprog_detach(struct xprog *x);
/* Attached through a dispatcher, next to other programs. */
bool xprog_dispatched(const struct xprog *x);

/* Steer a receive queue to a socket. */
int xprog_set_socket(struct xprog *x, uint32_t queue, int fd);

/* Raise the fence of a shard; never lowers. */
void xprog_fence(struct xprog *x, uint32_t shard, uint32_t epoch);
/* Sum over all CPUs, added to out[XBD_V_END]. */
void xprog_counters(const struct xprog *x, uint64_t *out);

/* Pin the maps that tools look at under `dir` (on a bpffs, made if missing). Optional. */
int xprog_pin(struct xprog *x, const char *dir);

#endif
