/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values of the BPF maps: the bytes shared by the programs and the processes that load them. */
#ifndef XBD_MAPS_H
#define XBD_MAPS_H

#include "siphash.h"
#include "verdict.h"
#include "wire.h"

/* Changes with any map's key, value or meaning; part of the names of pins. */
#define XBD_MAPS_LAYOUT 1

/* Map `config`, one element. */
struct xbd_xdp_config {
	__u16 port;    /* UDP destination port, network byte order */
	__u16 side;    /* enum xbd_side of the receiver */
	__u32 len_max; /* longest frame given to AF_XDP, bytes; longer ones are left to the kernel
			*/
};

/* Map `local`: addresses of this host, IPv4 mapped into IPv6 (::ffff:a.b.c.d); value unused. */
struct xbd_address {
	__u8 b[16];
};
#define XBD_LOCAL_MAX 64u

/* Map `keys`, one element per key id. */
struct xbd_key_entry {
	struct xbd_key key;
	__u32 live; /* 1 = accepted */
	__u32 pad;
};

/*
 * Map `fence`, mmap-able, one element per shard. The daemon raises `epoch` after its promise is
 * durable; XDP refuses older ones. `notified` belongs to XDP: when it last let a stale packet up
 * so that the daemon answers it, in units of 2^20 ns.
 */
struct xbd_fence {
	__u32 epoch; /* 0 = none promised */
	__u32 notified;
};

#define XBD_QUEUES_MAX 64u /* receive queues of one interface with an AF_XDP socket */

_Static_assert(sizeof(struct xbd_xdp_config) == 8, "config");
_Static_assert(sizeof(struct xbd_key_entry) == 24, "keys");
_Static_assert(sizeof(struct xbd_fence) == 8, "fence");

#endif
