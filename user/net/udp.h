/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UDP socket. Receiving: one multishot request on the event loop fills buffers that it picks
 * itself; the kernel may hand over several datagrams of one sender at once (GRO). Sending: messages
 * are encoded once, whatever the number of receivers, and a whole turn's messages leave in one
 * sendmmsg; the fragments of a message are cut by the kernel (GSO).
 */
#ifndef XBD_NET_UDP_H
#define XBD_NET_UDP_H

#include "net/net.h"
#include "net/peers.h"

struct udp;

struct udp_ops {
	/* One datagram, valid during the call. */
	void (*rx)(void *ctx, const struct sockaddr *from, const void *pkt, size_t len);
};

/* listen: address and port to bind; AF_UNSPEC = any address. why: one line on failure. */
int udp_open(struct udp **out, struct loop *l, const struct sockaddr_storage *listen,
	     const struct udp_ops *ops, void *ctx, struct net_counters *count, char *why);
void udp_close(struct udp *u);

/* AF_INET or AF_INET6. */
int udp_family(const struct udp *u);
/* Bound address. */
void udp_address(const struct udp *u, struct sockaddr_storage *sa);

/*
 * Queue a message to each peer; what s points to is not needed after the return. frag_len: 1024,
 * 2048 or 4096. The peers' addresses are needed until the next udp_flush.
 */
void udp_send(struct udp *u, const struct peer *const *to, unsigned count, const struct xbd_send *s,
	      const struct xbd_keyring *kr, uint32_t frag_len);
void udp_flush(struct udp *u);
bool udp_pending(const struct udp *u);

#endif
