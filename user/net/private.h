/* SPDX-License-Identifier: BSD-2-Clause */
/* struct net: what net.c keeps. */
#ifndef XBD_NET_PRIVATE_H
#define XBD_NET_PRIVATE_H

#include "net/iface.h"
#include "net/net.h"
#include "net/peers.h"
#include "net/text.h"
#include "net/udp.h"
#include "net/xdp.h"

#define NET_MTU_MIN 1280u

struct net {
	struct loop *l;
	struct loop_hook hook;
	const struct net_ops *ops;
	void *ctx;
	enum xbd_side side;
	struct xbd_keyring kr;
	struct udp *udp;
	struct xdp *xdp;    /* NULL = UDP only */
	struct iface iface; /* index 0: none known */
	uint32_t frag_len;  /* for peers whose path is not known */
	bool frag_fixed;    /* the configuration says so: for all peers */
	bool delivered;	    /* since the last rx_end */
	uint32_t last;	    /* handle of the last packet's sender, PEER_NONE = none */
	struct net_info info;
	struct net_counters count;
	struct peers peers;
};

#endif
