/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "net/xsk_private.h"

/* Without zero-copy the kernel sends 32 frames per call. */
#define KICKS_MAX 64u

int xskq_tx_init(struct xskq *q)
{
	uint32_t n = q->frames / 4, first = q->frames - n;

	q->free_tx = calloc(n, sizeof(*q->free_tx));
	if (!q->free_tx)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		q->free_tx[q->nfree++] = (uint64_t)(first + i) * XSK_FRAME;
	return 0;
}

void xskq_tx_free(struct xskq *q)
{
	free(q->free_tx);
}

/* Take back frames that have been sent. */
static void reap(struct xskq *q)
{
	uint32_t at, n = xsk_ring_cons__peek(&q->comp, q->frames / 4, &at);

	for (uint32_t i = 0; i < n; i++)
		q->free_tx[q->nfree++] = *xsk_ring_cons__comp_addr(&q->comp, at + i);
	XBD_ASSERT(q->nfree <= q->frames / 4);
	if (n)
		xsk_ring_cons__release(&q->comp, n);
}

static bool fits_one(uint32_t body_len)
{
	return FRAME_HEAD_MAX + sizeof(struct xbd_hdr) + body_len <= XSK_FRAME;
}

bool xskq_room(struct xskq *q, unsigned packets, uint32_t body_len, struct net_counters *count)
{
	uint32_t need = packets * (fits_one(body_len) ? 1 : 2);

	if (!fits_one(body_len) && !q->multibuf)
		return false;
	if (q->nfree < need)
		reap(q);
	if (q->nfree < need && q->queued) {
		xskq_flush(q, count);
		reap(q);
	}
	/* a free frame has a free place in the ring: there are as many */
	return q->nfree >= need && xsk_prod_nb_free(&q->tx, need) >= need;
}

static void put_desc(struct xskq *q, uint64_t addr, uint32_t len, uint32_t options)
{
	uint32_t at;

	XBD_ASSERT(xsk_ring_prod__reserve(&q->tx, 1, &at) == 1);
	*xsk_ring_prod__tx_desc(&q->tx, at) = (struct xdp_desc){addr, len, options};
	q->queued++;
}

void xskq_send(struct xskq *q, const struct peer *to, uint16_t port, const struct xbd_hdr *h,
	       const void *body, uint32_t body_len, struct net_counters *count)
{
	uint64_t addr, addr2;
	uint32_t head, first;
	uint8_t *frame;

	XBD_ASSERT(q->nfree);
	addr = q->free_tx[--q->nfree];
	frame = q->area + addr;
	head = frame_build(frame, to, port, h, body, body_len);
	memcpy(frame + head, h, sizeof(*h));
	head += (uint32_t)sizeof(*h);
	first = head + body_len <= XSK_FRAME ? body_len : XSK_FRAME - head;
	if (first)
		memcpy(frame + head, body, first);
	put_desc(q, addr, head + first, first < body_len ? XDP_PKT_CONTD : 0);
	if (first < body_len) {
		XBD_ASSERT(q->multibuf && q->nfree);
		addr2 = q->free_tx[--q->nfree];
		memcpy(q->area + addr2, (const uint8_t *)body + first, body_len - first);
		put_desc(q, addr2, body_len - first, 0);
	}
	count->tx_packets++;
	count->tx_xsk++;
	count->tx_bytes += sizeof(*h) + body_len;
}

static uint32_t unsent(const struct xskq *q)
{
	return *q->tx.producer - __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE);
}

void xskq_flush(struct xskq *q, struct net_counters *count)
{
	if (!q->queued && !q->again)
		return;
	if (q->queued)
		xsk_ring_prod__submit(&q->tx, q->queued);
	q->queued = 0;
	q->again = false;
	for (unsigned i = 0; i < KICKS_MAX && xsk_ring_prod__needs_wakeup(&q->tx); i++) {
		ssize_t n = sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		int err = n < 0 ? errno : 0;

		count->tx_calls++;
		if (!unsent(q))
			return;
		reap(q); /* a full completion ring stops sending */
		if (err == ENOBUFS || err == EBUSY) {
			q->again = true;
			return;
		}
		if (err && err != EAGAIN && err != EINTR)
			return; /* interface down: goes out or is dropped when it is back */
	}
	q->again = unsent(q) && xsk_ring_prod__needs_wakeup(&q->tx);
}

bool xskq_pending(const struct xskq *q)
{
	return q->queued || q->again;
}
