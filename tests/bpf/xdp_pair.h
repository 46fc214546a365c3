/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both sides of the transport on one loop: the store's in this network namespace on device s0
 * (10.77.0.2), the client's in another on c0 (10.77.0.1).
 */
#ifndef XBD_TEST_XDP_PAIR_H
#define XBD_TEST_XDP_PAIR_H

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "net/net.h"
#include "netns.h"

static int store_ns, client_ns;
static pid_t holder; /* of the client's namespace */

struct end {
	struct net *net;
	unsigned packets;
	struct xbd_msg last;
};

struct pair {
	struct loop loop;
	struct end store, client;
	uint32_t to_store;
};

static inline struct sockaddr_storage v4(const char *text, uint16_t port)
{
	struct sockaddr_storage sa = {.ss_family = AF_INET};
	struct sockaddr_in *in = (void *)&sa;

	inet_pton(AF_INET, text, &in->sin_addr);
	in->sin_port = htons(port);
	return sa;
}

static inline void rx(void *ctx, const struct xbd_msg *m)
{
	struct end *e = ctx;

	e->packets++;
	e->last = *m;
}

static const struct net_ops ops = {.rx = rx};

static inline int open_store(struct pair *p, enum net_transport t, const char *address,
			     const char *dev, char *why)
{
	struct net_config cfg = {.transport = t,
				 .side = XBD_SIDE_STORE,
				 .interface = dev,
				 .listen = v4(address, XBD_PORT)};

	memset(p, 0, sizeof(*p));
	assert_int_equal(loop_init(&p->loop, 256, 8), 0);
	return net_open(&p->store.net, &p->loop, &cfg, &ops, &p->store, why);
}

static inline void open_client(struct pair *p, const char *store)
{
	struct net_config cfg = {.side = XBD_SIDE_CLIENT};
	struct sockaddr_storage to = v4(store, XBD_PORT);
	char why[256];

	assert_int_equal(setns(client_ns, CLONE_NEWNET), 0);
	assert_int_equal(net_open(&p->client.net, &p->loop, &cfg, &ops, &p->client, why), 0);
	p->to_store = net_peer_add(p->client.net, (void *)&to, sizeof(to));
	assert_int_equal(setns(store_ns, CLONE_NEWNET), 0);
}

static inline void close_pair(struct pair *p)
{
	net_close(p->client.net);
	net_close(p->store.net);
	for (int i = 0; i < 4; i++)
		loop_turn(&p->loop, false);
	loop_free(&p->loop);
}

static inline uint32_t attached(const char *dev)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(dev), 0, &id), 0);
	return id;
}

/* Turns for up to a second, until e has that many packets. */
static inline void run_until(struct pair *p, const struct end *e, unsigned packets)
{
	struct timespec pause = {.tv_nsec = 1000000};

	for (int i = 0; i < 1000 && e->packets < packets; i++) {
		assert_int_equal(loop_turn(&p->loop, false), 0);
		nanosleep(&pause, NULL);
	}
}

static inline void hold_namespace(void)
{
	int ready[2];
	char c;

	if (pipe(ready))
		exit(1);
	holder = fork();
	if (!holder) {
		netns_enter_new();
		if (write(ready[1], "+", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]); /* a failure above ends the read */
	if (read(ready[0], &c, 1) != 1)
		exit(SKIP);
	close(ready[0]);
}

/* Namespaces and the veth pair; false if that failed. */
static inline bool set_up(void)
{
	char path[64];

	hold_namespace();
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)holder);
	client_ns = open(path, O_RDONLY | O_CLOEXEC);
	store_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns_join("s0", "c0", holder, 2) || netns_up("s0", 2, 1500))
		return false;
	if (setns(client_ns, CLONE_NEWNET) || netns_up("c0", 1, 1500))
		return false;
	return setns(store_ns, CLONE_NEWNET) == 0;
}

static inline void tear_down(void)
{
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
}

#endif
