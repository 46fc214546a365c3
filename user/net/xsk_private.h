/* SPDX-License-Identifier: BSD-2-Clause */
/* What xsk.c and xsk_tx.c share. */
#ifndef XBD_NET_XSK_PRIVATE_H
#define XBD_NET_XSK_PRIVATE_H

#include <xdp/xsk.h>

#include "net/frame.h"
#include "net/xsk.h"

/* Of kernel 6.6; older headers lack the names. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

struct xskq {
	struct xsk_ring_cons rx, comp;
	struct xsk_ring_prod tx, fill;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	uint8_t *area;
	size_t area_bytes;
	uint32_t frames;
	int fd;
	bool multibuf;

	/* a frame whose last buffer has not come yet */
	bool part_bad; /* too long: skip to its end */
	uint32_t part_len;
	uint8_t part_align[2]; /* as in a receive buffer: the IP header at a multiple of 4 */
	uint8_t part[FRAME_MAX];

	uint64_t *free_tx; /* addresses of frames to send from */
	uint32_t nfree;
	uint32_t queued; /* given to the ring since the last wake-up */
	bool again;	 /* the kernel wants another wake-up */
};

_Static_assert((offsetof(struct xskq, part) + 14) % 4 == 0, "IP header in q->part");

int xskq_tx_init(struct xskq *q);
void xskq_tx_free(struct xskq *q);

#endif
