/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet, IP and UDP headers of frames that go past the kernel's stack. */
#ifndef XBD_NET_FRAME_H
#define XBD_NET_FRAME_H

#include <stddef.h>

#include "net/peers.h"
#include "proto/wire.h"

/* Ethernet, VLAN tag, IPv6, UDP. */
#define FRAME_HEAD_MAX (14u + 4u + 40u + 8u)
#define FRAME_MAX      (FRAME_HEAD_MAX + (unsigned)sizeof(struct xbd_hdr) + XBD_BODY_MAX)

/*
 * Parse a received frame. The datagram in it: *pkt and the length returned, 0 if it is not one.
 * *key is its sender, *link how to answer (queue not set). ifindex: scope of link-local addresses.
 */
uint32_t frame_parse(const uint8_t *frame, uint32_t len, unsigned ifindex, struct peer_key *key,
		     struct peer_link *link, const uint8_t **pkt);

/*
 * Write the headers of a datagram of `body_len` bytes behind the xbd header h to `to` (room for
 * FRAME_HEAD_MAX). port: our UDP port, network byte order. Returns the bytes written.
 */
uint32_t frame_build(uint8_t *to, const struct peer *p, uint16_t port, const struct xbd_hdr *h,
		     const void *body, uint32_t body_len);

#endif
