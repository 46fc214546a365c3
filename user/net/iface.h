/* SPDX-License-Identifier: BSD-2-Clause */
/* Network interfaces: which one holds an address, and what it can do. */
#ifndef XBD_NET_IFACE_H
#define XBD_NET_IFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proto/maps.h"

struct iface {
	char name[IF_NAMESIZE];
	unsigned index;
	uint32_t mtu;	 /* bytes */
	uint32_t queues; /* receive queues, at least 1 */
	bool loopback;
};

/*
 * Look up by name, or if that is NULL by address. -ENODEV: no such interface; -EADDRNOTAVAIL: no
 * interface has the address, or it is a wildcard.
 */
int iface_find(struct iface *out, const char *name, const struct sockaddr *addr);

/* All its addresses, IPv4 mapped into IPv6. Their number (at most max) or negative errno. */
int iface_addresses(const char *name, struct xbd_address *out, unsigned max);

/*
 * Is the address on a VLAN device above the interface while the interface strips VLAN tags? Then
 * XDP on it cannot know which VLAN a frame belongs to.
 */
bool iface_hides_vlan(const struct iface *i, const struct sockaddr *addr);

/* MTU of the route to an address, 0 if unknown. */
uint32_t iface_path_mtu(const struct sockaddr *addr, socklen_t len);

#endif
