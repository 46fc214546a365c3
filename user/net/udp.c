/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "net/text.h"
#include "net/udp_private.h"

#define SEND_BUFFER    (8 << 20)
#define RECEIVE_BUFFER (16 << 20)
/* Sending waits that long for a congested interface; after that the message is lost. */
#define SEND_WAIT_US 10000

static void set_buffer(int fd, int force, int plain, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)))
		(void)setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

/* Everything here is an improvement only: refused settings are left as they are. */
static void tune(int fd, int family)
{
	struct timeval wait = {.tv_usec = SEND_WAIT_US};
	int one = 1, never = IP_PMTUDISC_DONT;

	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	/* Fragment sizes follow the MTU; where that was wrong, IP fragments are better than
	 * nothing. */
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &never, sizeof(never));
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &never, sizeof(never));
}

static int open_socket(struct udp *u, int family, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in6 *v6 = (void *)sa;
	int both = 0, one = 1, fd;

	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (family == AF_INET6) {
		int *only = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ? &both : &one;

		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, only, sizeof(*only));
	}
	tune(fd, family);
	if (bind(fd, sa, len)) {
		int err = -errno;

		close(fd);
		return err;
	}
	u->fd = fd;
	u->family = family;
	return 0;
}

/* Any address: both families if the host has IPv6. */
static int open_any(struct udp *u)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	int err = open_socket(u, AF_INET6, (void *)&v6, sizeof(v6));

	return err ? open_socket(u, AF_INET, (void *)&v4, sizeof(v4)) : 0;
}

static int bind_failed(int err, const struct sockaddr_storage *listen, char *why)
{
	char text[ADDRESS_TEXT];

	address_text(text, listen);
	if (err == -EADDRINUSE)
		snprintf(why, NET_WHY, "UDP %s is in use by another process", text);
	else if (err == -EADDRNOTAVAIL)
		snprintf(why, NET_WHY, "no interface of this host has the address %s", text);
	else
		snprintf(why, NET_WHY, "cannot open UDP %s: %s", text, xbd_strerror(err));
	return err;
}

static int open_listen(struct udp *u, const struct sockaddr_storage *listen, char *why)
{
	int err;

	if (listen->ss_family == AF_UNSPEC)
		err = open_any(u);
	else if (listen->ss_family == AF_INET)
		err = open_socket(u, AF_INET, (void *)listen, sizeof(struct sockaddr_in));
	else if (listen->ss_family == AF_INET6)
		err = open_socket(u, AF_INET6, (void *)listen, sizeof(struct sockaddr_in6));
	else
		err = -EAFNOSUPPORT;
	return err ? bind_failed(err, listen, why) : 0;
}

int udp_open(struct udp **out, struct loop *l, const struct sockaddr_storage *listen,
	     const struct udp_ops *ops, void *ctx, struct net_counters *count, char *why)
{
	struct udp *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->l = l;
	u->ops = ops;
	u->ctx = ctx;
	u->count = count;
	u->fd = -1;
	err = open_listen(u, listen, why);
	if (!err) {
		err = udp_tx_init(u);
		if (!err)
			err = udp_rx_start(u);
		if (err)
			snprintf(why, NET_WHY, "cannot receive UDP through io_uring: %s",
				 xbd_strerror(err));
	}
	if (err) {
		udp_close(u);
		return err;
	}
	*out = u;
	return 0;
}

void udp_close(struct udp *u)
{
	if (!u)
		return;
	udp_rx_stop(u);
	udp_tx_free(u);
	if (u->fd >= 0)
		close(u->fd);
	free(u);
}

int udp_family(const struct udp *u)
{
	return u->family;
}

void udp_address(const struct udp *u, struct sockaddr_storage *sa)
{
	socklen_t len = sizeof(*sa);

	memset(sa, 0, sizeof(*sa));
	(void)getsockname(u->fd, (struct sockaddr *)sa, &len);
}
