/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets in and out of one process, whatever carries them: AF_XDP sockets behind the XDP program
 * (zero-copy, copy or generic) or a plain UDP socket, which is always open as well and takes what
 * XDP leaves to the kernel. Runs on the event loop; sends queued during a turn leave at its end.
 */
#ifndef XBD_NET_H
#define XBD_NET_H

#include <sys/socket.h>

#include "core/codec.h"
#include "io/loop.h"

struct net;

enum net_transport { NET_AUTO, NET_XDP, NET_UDP };

/* Rungs of the mode ladder, best first. X(NAME, text) */
#define NET_MODES(X)                                                                               \
	X(XDP_ZEROCOPY, "xdp-native-zerocopy")                                                     \
	X(XDP_COPY, "xdp-native-copy")                                                             \
	X(XDP_GENERIC, "xdp-generic-copy")                                                         \
	X(UDP, "udp")

enum net_mode {
#define X(name, text) NET_MODE_##name,
	NET_MODES(X)
#undef X
};

struct net_config {
	enum net_transport transport;	/* NET_XDP: fail instead of falling back to UDP */
	enum xbd_side side;		/* which messages are received */
	const char *interface;		/* for XDP; NULL = the one that holds the listen address */
	struct sockaddr_storage listen; /* address and port; port 0 = any */
	uint32_t frag_len;		/* 0 = from the interface's MTU */
	uint32_t frames;		/* UMEM frames per queue; 0 = 4096 */
	const char *pin_dir; /* bpffs directory for this instance's pins; NULL = no pins */
};

struct net_ops {
	/* One packet that passed all checks. m is valid during the call. */
	void (*rx)(void *ctx, const struct xbd_msg *m);
	/* A batch of packets has been handed over. May be NULL. */
	void (*rx_end)(void *ctx);
};

struct net_info {
	enum net_mode mode;
	const char *mode_text;
	char why[256]; /* why no better rung: one line, empty if on the best */
	char interface[32];
	uint32_t mtu, frag_len, queues;
	bool dispatcher; /* attached through the libxdp dispatcher */
	bool multibuf;	 /* packets larger than one frame are received */
	bool fenced;	 /* XDP fences by epoch */
};

/* Counters kept in user space, besides the verdicts. X(name, text) */
#define NET_COUNTERS(X)                                                                            \
	X(rx_packets, "packets received")                                                          \
	X(rx_bytes, "bytes received")                                                              \
	X(rx_xsk, "packets received by AF_XDP")                                                    \
	X(rx_udp, "packets received by the UDP socket")                                            \
	X(tx_packets, "packets sent")                                                              \
	X(tx_bytes, "bytes sent")                                                                  \
	X(tx_xsk, "packets sent by AF_XDP")                                                        \
	X(tx_calls, "system calls or requests for sending")                                        \
	X(tx_dropped, "packets not sent: queue full or address unknown")                           \
	X(wakeups, "times the socket woke us")

struct net_counters {
#define X(name, text) uint64_t name;
	NET_COUNTERS(X)
#undef X
	uint64_t verdict[XBD_V_END];	 /* in user space plus, where XDP runs, its own */
	uint64_t verdict_xdp[XBD_V_END]; /* of these, counted by XDP */
};

/*
 * Open. why (256 bytes) gets one line on failure: what failed and what to do. Errors are negative
 * errno or -XBD_E*.
 */
int net_open(struct net **out, struct loop *l, const struct net_config *cfg,
	     const struct net_ops *ops, void *ctx, char *why);
void net_close(struct net *n);

/* Handle for an address, the same for the same address; at most NET_PEERS_MAX, least recently used
 * handles that were learnt from packets are reused first; added ones stay. UINT32_MAX = full. */
#define NET_PEERS_MAX 1024u
uint32_t net_peer_add(struct net *n, const struct sockaddr *addr, socklen_t len);
/* Address of a handle; false = no such handle. */
bool net_peer_addr(const struct net *n, uint32_t peer, struct sockaddr_storage *addr);

/*
 * Queue a message to `count` peers. The data behind s is copied or sent before net_flush returns.
 * Nothing is promised: packets may be lost.
 */
void net_send(struct net *n, const uint32_t *peers, unsigned count, const struct xbd_send *s);
void net_flush(struct net *n);

/* Raise XDP's fence of a shard; never lowers. No-op without XDP. */
void net_fence(struct net *n, uint32_t shard, uint32_t epoch);
void net_set_keyring(struct net *n, const struct xbd_keyring *kr);

void net_info(const struct net *n, struct net_info *out);
void net_counters(const struct net *n, struct net_counters *out);

#endif
