/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One AF_XDP socket: one receive queue of an interface, with memory of its own. Received frames
 * are handed over in place; one that the driver spread over several buffers is put together first.
 * Frames to send are copied in and leave at xskq_flush().
 */
#ifndef XBD_NET_XSK_H
#define XBD_NET_XSK_H

#include <stdbool.h>
#include <stdint.h>

#include "net/net.h"
#include "net/peers.h"

#define XSK_FRAME 4096u
/*
 * Room the kernel leaves in front of a frame besides its own 256 bytes, so that a fragment behind
 * Ethernet, IPv4, UDP and our header starts at a multiple of 512.
 */
#define XSK_HEADROOM 150u
/* Bytes of a received frame that fit its first buffer. */
#define XSK_FIRST (XSK_FRAME - 256u - XSK_HEADROOM)

struct xskq;

struct xskq_config {
	const char *interface;
	uint32_t queue;
	uint32_t frames; /* a power of two, at least 256; a quarter is for sending */
	bool zerocopy;	 /* fail if the driver cannot */
	bool multibuf;	 /* fail if the kernel cannot */
};

/* 0 or negative errno. */
int xskq_open(struct xskq **out, const struct xskq_config *cfg);
void xskq_close(struct xskq *q);
int xskq_fd(const struct xskq *q);

/* Hands over at most `budget` frames, each valid during the call of rx. Returns their number. */
unsigned xskq_receive(struct xskq *q, unsigned budget,
		      void (*rx)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx);
/* Frames are waiting. */
bool xskq_ready(struct xskq *q);

/* Is there room for `packets` with bodies of up to body_len bytes? Makes some if it can. */
bool xskq_room(struct xskq *q, unsigned packets, uint32_t body_len, struct net_counters *count);
/* Queue a packet to a peer whose link is known; room has been asked for. */
void xskq_send(struct xskq *q, const struct peer *to, uint16_t port, const struct xbd_hdr *h,
	       const void *body, uint32_t body_len, struct net_counters *count);
/* Make the kernel send what is queued. */
void xskq_flush(struct xskq *q, struct net_counters *count);
/* Frames are queued that the kernel has not been told of or refused for now. */
bool xskq_pending(const struct xskq *q);

#endif
