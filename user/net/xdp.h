/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AF_XDP side of a storage node: the XDP program and one socket per receive queue, on the best
 * rung of the ladder that interface, driver and kernel allow: native zero-copy, native copy,
 * generic.
 */
#ifndef XBD_NET_XDP_H
#define XBD_NET_XDP_H

#include "net/iface.h"
#include "net/net.h"
#include "net/peers.h"

struct xdp;

struct xdp_config {
	struct iface iface;
	struct sockaddr_storage listen; /* as bound; a wildcard takes all of the interface's */
	enum xbd_side side;
	uint32_t frames; /* per queue; 0 = default */
	const char *pin_dir;
};

struct xdp_ops {
	/* One datagram from the sender `key`, reachable by `link`; valid during the call. */
	void (*rx)(void *ctx, const struct peer_key *key, const struct peer_link *link,
		   const void *pkt, size_t len);
};

/*
 * info: mode, why (why no better rung), queues, dispatcher, multibuf, fenced are set. On failure
 * why has one line and info is left alone.
 */
int xdp_open(struct xdp **out, struct loop *l, const struct xdp_config *cfg,
	     const struct xdp_ops *ops, void *ctx, struct net_counters *count,
	     struct net_info *info, char *why);
void xdp_close(struct xdp *x);

/* Queue a message to a peer whose link is known. False: no room, nothing queued. */
bool xdp_send(struct xdp *x, const struct peer *to, const struct xbd_send *s,
	      const struct xbd_keyring *kr, uint32_t frag_len);
/* Look at the receive rings once more, send what is queued. */
void xdp_receive(struct xdp *x);
void xdp_flush(struct xdp *x);
bool xdp_busy(struct xdp *x);

void xdp_fence(struct xdp *x, uint32_t shard, uint32_t epoch);
int xdp_set_keys(struct xdp *x, const struct xbd_keyring *kr);
/* XDP's own counters, added to out[XBD_V_END]. */
void xdp_counters(const struct xdp *x, uint64_t *out);

#endif
