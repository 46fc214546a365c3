/* SPDX-License-Identifier: BSD-2-Clause */
/* What udp.c, udp_rx.c and udp_tx.c share. */
#ifndef XBD_NET_UDP_PRIVATE_H
#define XBD_NET_UDP_PRIVATE_H

#include <sys/uio.h>

#include "net/op.h"
#include "net/udp.h"

#define UDP_MSGS	 256u	     /* messages of one sendmmsg */
#define UDP_HDRS	 1024u	     /* packets queued */
#define UDP_ARENA	 (1u << 20)  /* bytes of bodies copied while they wait for the flush */
#define UDP_COPY_MAX	 (16u << 10) /* larger data is sent at once instead of being copied */
#define UDP_GSO_BYTES	 65000u	     /* one GSO send: below what fits an IP datagram */
#define UDP_GSO_SEGMENTS 60u	     /* kernels before 6.9 take 64 */
#define UDP_RX_BUFFERS	 128u	     /* a power of two */
#define UDP_RX_BUFFER	 (66u << 10) /* bytes: one GRO datagram and what describes it */

union udp_control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(uint16_t))];
};

struct udp_tx {
	unsigned nmsgs, nhdrs, niov;
	size_t used; /* of the arena */
	bool gso;
	struct mmsghdr msg[UDP_MSGS];
	union udp_control control[UDP_MSGS];
	struct xbd_hdr hdr[UDP_HDRS];
	struct iovec iov[2 * UDP_HDRS];
	uint8_t *arena;
};

struct udp_rx_op {
	struct op op;
	struct msghdr msg; /* template: room for name and control data */
};

struct udp_rx {
	struct udp_rx_op *op;
	struct io_uring_buf_ring *ring;
	size_t ring_bytes;
	uint8_t *buffers;
	int group;
	bool registered;
};

struct udp {
	struct loop *l;
	int fd, family;
	const struct udp_ops *ops;
	void *ctx;
	struct net_counters *count;
	struct udp_tx tx;
	struct udp_rx rx;
};

int udp_rx_start(struct udp *u);
void udp_rx_stop(struct udp *u);
int udp_tx_init(struct udp *u);
void udp_tx_free(struct udp *u);

#endif
