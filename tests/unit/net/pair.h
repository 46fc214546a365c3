/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ends on one loop over the loopback interface, and what they received. */
#ifndef XBD_TEST_NET_PAIR_H
#define XBD_TEST_NET_PAIR_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "net/net.h"

#define DATA_MAX (XBD_OP_BLOCKS * XBD_BLOCK_SIZE)

struct end {
	struct net *net;
	struct sockaddr_storage addr;
	unsigned packets, ends;
	struct xbd_msg last;
	uint8_t data[DATA_MAX]; /* of the last operation's fragments, in place */
};

static inline void end_rx(void *ctx, const struct xbd_msg *m)
{
	struct end *e = ctx;

	e->packets++;
	e->last = *m;
	if (m->h.nfrag)
		memcpy(e->data + (size_t)m->h.frag * m->h.len, m->body, m->body_len);
	else
		memcpy(e->data, m->body, m->body_len);
}

static inline void end_rx_end(void *ctx)
{
	((struct end *)ctx)->ends++;
}

static const struct net_ops end_ops = {.rx = end_rx, .rx_end = end_rx_end};

static inline struct sockaddr_storage loopback(int family, uint16_t port)
{
	struct sockaddr_storage sa = {.ss_family = (sa_family_t)family};
	struct sockaddr_in *v4 = (void *)&sa;
	struct sockaddr_in6 *v6 = (void *)&sa;

	if (family == AF_INET) {
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		v6->sin6_port = htons(port);
		v6->sin6_addr = in6addr_loopback;
	}
	return sa;
}

static inline int end_open(struct end *e, struct loop *l, enum xbd_side side, int family,
			   uint16_t port, uint32_t frag_len, char *why)
{
	struct net_config cfg = {.transport = NET_UDP, .side = side, .frag_len = frag_len};

	memset(e, 0, sizeof(*e));
	cfg.listen = e->addr = loopback(family, port);
	return net_open(&e->net, l, &cfg, &end_ops, e, why);
}

/* Turns until e has received `packets` or a second has passed. */
static inline void run_until(struct loop *l, struct end *e, unsigned packets)
{
	struct timespec pause = {.tv_nsec = 100000};

	for (unsigned i = 0; i < 10000 && e->packets < packets; i++) {
		assert_int_equal(loop_turn(l, false), 0);
		if (i > 100)
			nanosleep(&pause, NULL);
	}
	assert_int_equal(loop_turn(l, false), 0);
	assert_int_equal(e->packets, packets);
}

#endif
