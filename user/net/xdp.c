/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/xdp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "net/bpf.h"
#include "net/frame.h"
#include "net/op.h"
#include "net/text.h"
#include "net/xsk.h"

#define FRAMES_DEFAULT 4096u
#define BUDGET	       512u /* frames of one queue before the others' turn */

struct xdp_queue {
	struct xdp *x;
	struct xskq *q;
	struct op *poll;
	uint16_t index;
};

struct xdp {
	struct loop *l;
	const struct xdp_ops *ops;
	void *ctx;
	struct net_counters *count;
	struct xprog *prog;
	unsigned ifindex;
	uint16_t port; /* network byte order */
	unsigned nqueues;
	struct xdp_queue queue[XBD_QUEUES_MAX];
};

/* A rung of the ladder. */
struct rung {
	enum net_mode mode;
	bool native, zerocopy;
};

static const struct rung ladder[] = {
	{NET_MODE_XDP_ZEROCOPY, true, true},
	{NET_MODE_XDP_COPY, true, false},
	{NET_MODE_XDP_GENERIC, false, false},
};
#define RUNGS (sizeof(ladder) / sizeof(ladder[0]))

static void frame_received(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct xdp_queue *q = ctx;
	struct xdp *x = q->x;
	struct peer_link link;
	struct peer_key key;
	const uint8_t *pkt;
	uint32_t n = frame_parse(frame, len, x->ifindex, &key, &link, &pkt);

	link.queue = q->index;
	x->ops->rx(x->ctx, &key, &link, pkt, n);
}

static void arm(struct xdp_queue *q)
{
	struct io_uring_sqe *sqe = loop_sqe(q->x->l, &q->poll->cb);

	io_uring_prep_poll_multishot(sqe, xskq_fd(q->q), POLLIN);
	io_uring_sqe_set_data(sqe, &q->poll->cb);
}

static void polled(struct loop_cb *cb, int res, unsigned flags)
{
	struct op *op = (struct op *)cb;
	struct xdp_queue *q = op->owner;

	if (op_closed(op, flags))
		return;
	q->x->count->wakeups++;
	/* an error is for good: the interface is gone, and the UDP socket remains */
	if (!(flags & IORING_CQE_F_MORE) && res >= 0 && !(res & (POLLERR | POLLNVAL)))
		arm(q);
	xskq_receive(q->q, BUDGET, frame_received, q);
}

static int open_queue(struct xdp *x, const struct xdp_config *cfg, const struct rung *r,
		      bool multibuf)
{
	struct xdp_queue *q = &x->queue[x->nqueues];
	struct xskq_config qc = {
		.interface = cfg->iface.name,
		.queue = x->nqueues,
		.frames = cfg->frames ? cfg->frames : FRAMES_DEFAULT,
		.zerocopy = r->zerocopy,
		.multibuf = multibuf,
	};
	int err = xskq_open(&q->q, &qc);

	if (err)
		return err;
	q->x = x;
	q->index = (uint16_t)x->nqueues++;
	return xprog_set_socket(x->prog, q->index, xskq_fd(q->q));
}

static void close_queues(struct xdp *x)
{
	while (x->nqueues) {
		struct xdp_queue *q = &x->queue[--x->nqueues];

		if (q->poll)
			op_close(x->l, q->poll);
		xskq_close(q->q);
		memset(q, 0, sizeof(*q));
	}
}

static int open_queues(struct xdp *x, const struct xdp_config *cfg, const struct rung *r,
		       bool multibuf)
{
	uint32_t n = cfg->iface.queues < XBD_QUEUES_MAX ? cfg->iface.queues : XBD_QUEUES_MAX;
	int err = 0;

	while (x->nqueues < n && !err)
		err = open_queue(x, cfg, r, multibuf);
	if (err)
		close_queues(x);
	return err;
}

/* One rung: attach, then bind; *multibuf says whether frames of several buffers are received. */
static int try_rung(struct xdp *x, const struct xdp_config *cfg, const struct rung *r,
		    bool *multibuf, char *why)
{
	int err = xprog_attach(x->prog, &cfg->iface, r->native, why);

	if (err)
		return err;
	*multibuf = true;
	err = open_queues(x, cfg, r, true);
	if (err == -EINVAL || err == -EOPNOTSUPP) {
		*multibuf = false;
		err = open_queues(x, cfg, r, false);
	}
	if (!err)
		return 0;
	xprog_detach(x->prog);
	if (err == -EPERM)
		snprintf(why, NET_WHY, "AF_XDP needs CAP_NET_RAW and CAP_NET_ADMIN");
	else if (err == -EBUSY)
		snprintf(why, NET_WHY, "a queue of %s has an AF_XDP socket already",
			 cfg->iface.name);
	else if (err == -ENOBUFS || err == -ENOMEM)
		snprintf(why, NET_WHY, "not enough locked memory for AF_XDP (RLIMIT_MEMLOCK)");
	else
		snprintf(why, NET_WHY, "%s on %s: %s",
			 r->zerocopy ? "the driver has no zero-copy AF_XDP" : "AF_XDP",
			 cfg->iface.name, xbd_strerror(err));
	return err;
}

/* The first rung that holds. Errors that lower rungs would meet as well end it. */
static int climb(struct xdp *x, const struct xdp_config *cfg, struct net_info *info, char *why)
{
	bool multibuf;
	int err = -EOPNOTSUPP;

	for (unsigned i = 0; i < RUNGS; i++) {
		err = try_rung(x, cfg, &ladder[i], &multibuf, why);
		if (err == -EBUSY || err == -EPERM)
			return err;
		if (err)
			continue;
		info->mode = ladder[i].mode;
		snprintf(info->why, sizeof(info->why), "%s", i ? why : "");
		info->queues = x->nqueues;
		info->multibuf = multibuf;
		info->dispatcher = xprog_dispatched(x->prog);
		info->fenced = true;
		return 0;
	}
	return err;
}

static int configure(struct xdp *x, const struct xdp_config *cfg, bool multibuf)
{
	struct xbd_xdp_config c = {
		.port = x->port,
		.side = (uint16_t)cfg->side,
		/* what does not fit one buffer goes to the UDP socket if need be */
		.len_max = multibuf ? UINT32_MAX : XSK_FIRST,
	};

	return xprog_configure(x->prog, &c);
}

/* Which destination addresses are ours: the one we listen on, or all of the interface. */
static int add_addresses(struct xdp *x, const struct xdp_config *cfg)
{
	struct xbd_address all[XBD_LOCAL_MAX];
	struct peer_key key;
	int n, err = peer_key_of(&key, (const struct sockaddr *)&cfg->listen);

	if (err)
		return err;
	x->port = key.port;
	if (!address_is_any(&cfg->listen)) {
		memcpy(&all[0], &key.addr, sizeof(all[0]));
		return xprog_add_local(x->prog, &all[0]);
	}
	n = iface_addresses(cfg->iface.name, all, XBD_LOCAL_MAX);
	for (int i = 0; i < n && !err; i++)
		err = xprog_add_local(x->prog, &all[i]);
	return n < 0 ? n : err;
}

static int start_polling(struct xdp *x)
{
	for (unsigned i = 0; i < x->nqueues; i++) {
		struct xdp_queue *q = &x->queue[i];

		q->poll = calloc(1, sizeof(*q->poll));
		if (!q->poll)
			return -ENOMEM;
		q->poll->cb.fn = polled;
		q->poll->owner = q;
		arm(q);
	}
	return 0;
}

static int start(struct xdp *x, const struct xdp_config *cfg, struct net_info *info, char *why)
{
	int err = xprog_load(&x->prog, why);

	if (err)
		return err;
	/* until `configure`, no port matches and all goes to the kernel */
	err = climb(x, cfg, info, why);
	if (err)
		return err;
	err = add_addresses(x, cfg);
	if (!err)
		err = configure(x, cfg, info->multibuf);
	if (!err)
		err = start_polling(x);
	if (err)
		snprintf(why, NET_WHY, "cannot start AF_XDP on %s: %s", cfg->iface.name,
			 xbd_strerror(err));
	else if (cfg->pin_dir)
		(void)xprog_pin(x->prog, cfg->pin_dir); /* for looking only */
	return err;
}

int xdp_open(struct xdp **out, struct loop *l, const struct xdp_config *cfg,
	     const struct xdp_ops *ops, void *ctx, struct net_counters *count,
	     struct net_info *info, char *why)
{
	struct xdp *x = calloc(1, sizeof(*x));
	struct net_info found = *info;
	int err;

	if (!x)
		return -ENOMEM;
	x->l = l;
	x->ops = ops;
	x->ctx = ctx;
	x->count = count;
	x->ifindex = cfg->iface.index;
	err = start(x, cfg, &found, why);
	if (err) {
		xdp_close(x);
		return err;
	}
	*info = found;
	*out = x;
	return 0;
}

void xdp_close(struct xdp *x)
{
	if (!x)
		return;
	if (x->prog)
		xprog_detach(x->prog);
	close_queues(x);
	xprog_close(x->prog);
	free(x);
}

static unsigned packets_of(const struct xbd_send *s, uint32_t frag_len)
{
	return s->crc ? s->body_len / frag_len : 1;
}

bool xdp_send(struct xdp *x, const struct peer *to, const struct xbd_send *s,
	      const struct xbd_keyring *kr, uint32_t frag_len)
{
	struct xskq *q = x->queue[to->link.queue].q;
	uint32_t body_len = s->crc ? frag_len : s->body_len, len;
	struct codec_iter it;
	const uint8_t *body;
	struct xbd_hdr h;

	XBD_ASSERT(to->link.known && to->link.queue < x->nqueues);
	if (!xskq_room(q, packets_of(s, frag_len), body_len, x->count))
		return false;
	codec_begin(&it, s, kr, frag_len);
	while (codec_next(&it, &h, &body, &len))
		xskq_send(q, to, x->port, &h, body, len, x->count);
	return true;
}

void xdp_receive(struct xdp *x)
{
	for (unsigned i = 0; i < x->nqueues; i++)
		xskq_receive(x->queue[i].q, BUDGET, frame_received, &x->queue[i]);
}

void xdp_flush(struct xdp *x)
{
	for (unsigned i = 0; i < x->nqueues; i++)
		xskq_flush(x->queue[i].q, x->count);
}

bool xdp_busy(struct xdp *x)
{
	for (unsigned i = 0; i < x->nqueues; i++)
		if (xskq_pending(x->queue[i].q) || xskq_ready(x->queue[i].q))
			return true;
	return false;
}

void xdp_fence(struct xdp *x, uint32_t shard, uint32_t epoch)
{
	xprog_fence(x->prog, shard, epoch);
}

int xdp_set_keys(struct xdp *x, const struct xbd_keyring *kr)
{
	return xprog_set_keys(x->prog, kr);
}

void xdp_counters(const struct xdp *x, uint64_t *out)
{
	xprog_counters(x->prog, out);
}
