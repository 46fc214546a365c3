/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "io/patience.h"
#include "net/xsk_private.h"

#define BATCH	    64u
#define SEND_BUFFER (4 << 20) /* in copy mode frames on their way count against it */

static int make_umem(struct xskq *q)
{
	struct xsk_umem_config cfg = {
		.fill_size = q->frames, /* all receive frames at once */
		.comp_size = q->frames / 4,
		.frame_size = XSK_FRAME,
		.frame_headroom = XSK_HEADROOM,
	};
	void *p;

	q->area_bytes = (size_t)q->frames * XSK_FRAME;
	p = mmap(NULL, q->area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	q->area = p;
	return xsk_umem__create(&q->umem, q->area, q->area_bytes, &q->fill, &q->comp, &cfg);
}

static int make_socket(struct xskq *q, const struct xskq_config *cfg)
{
	struct xsk_socket_config sc = {
		.rx_size = q->frames / 2,
		.tx_size = q->frames / 4,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags =
			(uint16_t)(XDP_USE_NEED_WAKEUP | (cfg->zerocopy ? XDP_ZEROCOPY : XDP_COPY) |
				   (cfg->multibuf ? XDP_USE_SG : 0)),
	};
	int bytes = SEND_BUFFER, err;
	unsigned tries = 0;

	do /* the kernel lets go of a queue some time after its last socket was closed */
		err = xsk_socket__create(&q->socket, cfg->interface, cfg->queue, q->umem, &q->rx,
					 &q->tx, &sc);
	while (patience(err == -EBUSY ? -XBD_EINUSE : err, &tries));
	if (err)
		return err;
	q->fd = xsk_socket__fd(q->socket);
	if (setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		(void)setsockopt(q->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

/* Three quarters of the frames receive; the kernel has them from the start. */
static void fill_all(struct xskq *q)
{
	uint32_t n = q->frames / 4 * 3, at;

	XBD_ASSERT(xsk_ring_prod__reserve(&q->fill, n, &at) == n);
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = (uint64_t)i * XSK_FRAME;
	xsk_ring_prod__submit(&q->fill, n);
}

int xskq_open(struct xskq **out, const struct xskq_config *cfg)
{
	struct xskq *q = calloc(1, sizeof(*q));
	int err;

	XBD_ASSERT(cfg->frames >= 256 && (cfg->frames & (cfg->frames - 1)) == 0);
	if (!q)
		return -ENOMEM;
	q->frames = cfg->frames;
	q->multibuf = cfg->multibuf;
	err = make_umem(q);
	if (!err)
		err = make_socket(q, cfg);
	if (!err)
		err = xskq_tx_init(q);
	if (err) {
		xskq_close(q);
		return err;
	}
	fill_all(q);
	*out = q;
	return 0;
}

void xskq_close(struct xskq *q)
{
	if (!q)
		return;
	if (q->socket)
		xsk_socket__delete(q->socket);
	if (q->umem)
		(void)xsk_umem__delete(q->umem);
	if (q->area)
		munmap(q->area, q->area_bytes);
	xskq_tx_free(q);
	free(q);
}

int xskq_fd(const struct xskq *q)
{
	return q->fd;
}

bool xskq_ready(struct xskq *q)
{
	return xsk_cons_nb_avail(&q->rx, 1) != 0;
}

/* A buffer of a frame that has several. Returns true when q->part is a whole frame. */
static bool put_together(struct xskq *q, const uint8_t *data, uint32_t len, bool more)
{
	bool whole;

	if (q->part_len + len > sizeof(q->part))
		q->part_bad = true;
	if (!q->part_bad) {
		memcpy(q->part + q->part_len, data, len);
		q->part_len += len;
	}
	if (more)
		return false;
	whole = !q->part_bad;
	q->part_bad = false;
	return whole;
}

/* Frames go back to the kernel as soon as they have been looked at, so it never runs out. */
static void refill(struct xskq *q, const uint64_t *addr, unsigned n)
{
	uint32_t at;

	XBD_ASSERT(xsk_ring_prod__reserve(&q->fill, n, &at) == n);
	for (unsigned i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = addr[i];
	xsk_ring_prod__submit(&q->fill, n);
	if (xsk_ring_prod__needs_wakeup(&q->fill))
		(void)recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void take(struct xskq *q, const struct xdp_desc *d,
		 void (*rx)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx)
{
	const uint8_t *data = q->area + d->addr;
	bool more = d->options & XDP_PKT_CONTD;

	if (!more && !q->part_len && !q->part_bad) {
		rx(ctx, data, d->len);
		return;
	}
	if (put_together(q, data, d->len, more))
		rx(ctx, q->part, q->part_len);
	if (!more)
		q->part_len = 0;
}

unsigned xskq_receive(struct xskq *q, unsigned budget,
		      void (*rx)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx)
{
	uint64_t addr[BATCH];
	unsigned done = 0;

	while (done < budget) {
		uint32_t at, n = budget - done < BATCH ? budget - done : BATCH;

		n = xsk_ring_cons__peek(&q->rx, n, &at);
		if (!n)
			break;
		for (uint32_t i = 0; i < n; i++) {
			const struct xdp_desc *d = xsk_ring_cons__rx_desc(&q->rx, at + i);

			addr[i] = d->addr & ~(uint64_t)(XSK_FRAME - 1);
			take(q, d, rx, ctx);
		}
		xsk_ring_cons__release(&q->rx, n);
		refill(q, addr, n);
		done += n;
	}
	return done;
}
