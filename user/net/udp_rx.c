/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "net/udp_private.h"

#define CONTROL_BYTES CMSG_SPACE(sizeof(int))
/* Room for a sender's address that keeps what follows it aligned. */
#define NAME_BYTES ((sizeof(struct sockaddr_in6) + 7) / 8 * 8)

_Static_assert(UDP_RX_BUFFER >=
		       65535 + sizeof(struct io_uring_recvmsg_out) + NAME_BYTES + CONTROL_BYTES,
	       "a buffer holds the largest datagram");

static void give_back(struct udp_rx *rx, unsigned id)
{
	io_uring_buf_ring_add(rx->ring, rx->buffers + (size_t)id * UDP_RX_BUFFER, UDP_RX_BUFFER,
			      (unsigned short)id, io_uring_buf_ring_mask(UDP_RX_BUFFERS), 0);
	io_uring_buf_ring_advance(rx->ring, 1);
}

static void arm(struct udp *u)
{
	struct udp_rx_op *op = u->rx.op;
	struct io_uring_sqe *sqe = loop_sqe(u->l, &op->op.cb);

	io_uring_prep_recvmsg_multishot(sqe, u->fd, &op->msg, MSG_TRUNC);
	io_uring_sqe_set_data(sqe, &op->op.cb);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)u->rx.group;
}

/* Length of the datagrams that were merged into this one; all of it if none were. */
static size_t segment_len(struct io_uring_recvmsg_out *o, struct msghdr *msg, size_t len)
{
	struct cmsghdr *c;

	for (c = io_uring_recvmsg_cmsg_firsthdr(o, msg); c;
	     c = io_uring_recvmsg_cmsg_nexthdr(o, msg, c)) {
		int size;

		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
		return size > 0 ? (size_t)size : len;
	}
	return len;
}

static void take(struct udp *u, struct udp_rx_op *op, void *buf, int res)
{
	struct io_uring_recvmsg_out *o = io_uring_recvmsg_validate(buf, res, &op->msg);
	struct sockaddr_storage from = {0};
	size_t len, seg;
	const uint8_t *p;

	if (!o || o->namelen > sizeof(struct sockaddr_in6) || o->flags & MSG_TRUNC)
		return;
	memcpy(&from, io_uring_recvmsg_name(o), o->namelen);
	p = io_uring_recvmsg_payload(o, &op->msg);
	len = io_uring_recvmsg_payload_length(o, res, &op->msg);
	seg = segment_len(o, &op->msg, len);
	do {
		size_t n = len < seg ? len : seg;

		u->ops->rx(u->ctx, (struct sockaddr *)&from, p, n);
		p += n;
		len -= n;
	} while (len && op->op.owner);
}

static void received(struct loop_cb *cb, int res, unsigned flags)
{
	struct udp_rx_op *op = (struct udp_rx_op *)cb;
	struct udp *u = op->op.owner;

	if (op_closed(&op->op, flags))
		return;
	u->count->wakeups++;
	if (flags & IORING_CQE_F_BUFFER) {
		unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;

		XBD_ASSERT(id < UDP_RX_BUFFERS);
		if (res >= 0)
			take(u, op, u->rx.buffers + (size_t)id * UDP_RX_BUFFER, res);
		if (op_closed(&op->op, flags)) /* by what it received */
			return;
		give_back(&u->rx, id);
	}
	/* Out of buffers, an error of the network, a full completion queue: start again. */
	if (!(flags & IORING_CQE_F_MORE))
		arm(u);
}

static int register_ring(struct udp *u)
{
	static int groups;
	struct udp_rx *rx = &u->rx;
	struct io_uring_buf_reg reg;
	int err;

	rx->group = groups++ & 0x7fff;
	reg = (struct io_uring_buf_reg){
		.ring_addr = (uintptr_t)rx->ring,
		.ring_entries = UDP_RX_BUFFERS,
		.bgid = (uint16_t)rx->group,
	};
	io_uring_buf_ring_init(rx->ring);
	err = io_uring_register_buf_ring(&u->l->ring, &reg, 0);
	if (err)
		return err;
	rx->registered = true;
	for (unsigned i = 0; i < UDP_RX_BUFFERS; i++)
		give_back(rx, i);
	return 0;
}

int udp_rx_start(struct udp *u)
{
	struct udp_rx *rx = &u->rx;
	int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS, err;
	void *buffers, *ring;

	rx->op = calloc(1, sizeof(*rx->op));
	if (!rx->op)
		return -ENOMEM;
	rx->op->op.cb.fn = received;
	rx->op->op.owner = u;
	rx->op->msg.msg_namelen = NAME_BYTES;
	rx->op->msg.msg_controllen = CONTROL_BYTES;
	rx->ring_bytes = UDP_RX_BUFFERS * sizeof(struct io_uring_buf);
	ring = mmap(NULL, rx->ring_bytes, prot, flags, -1, 0);
	buffers = mmap(NULL, (size_t)UDP_RX_BUFFERS * UDP_RX_BUFFER, prot, flags, -1, 0);
	rx->ring = ring == MAP_FAILED ? NULL : ring;
	rx->buffers = buffers == MAP_FAILED ? NULL : buffers;
	if (!rx->ring || !rx->buffers)
		return -ENOMEM;
	err = register_ring(u);
	if (!err)
		arm(u);
	return err;
}

void udp_rx_stop(struct udp *u)
{
	struct udp_rx *rx = &u->rx;

	if (rx->registered) {
		op_close(u->l, &rx->op->op);
		(void)io_uring_unregister_buf_ring(&u->l->ring, rx->group);
	} else {
		free(rx->op);
	}
	if (rx->buffers)
		munmap(rx->buffers, (size_t)UDP_RX_BUFFERS * UDP_RX_BUFFER);
	if (rx->ring)
		munmap(rx->ring, rx->ring_bytes);
}
