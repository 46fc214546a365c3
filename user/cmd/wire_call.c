/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/wire_call.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "config/uuid.h"

#define RESEND_MIN_MS 50
#define RESEND_MAX_MS 500
#define REFUSED_MAX   3 /* "port unreachable" so often: nobody is there */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void start(struct wire_call *c, uint64_t id)
{
	socklen_t len = c->addr.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in);

	c->send.sender = XBD_SLOT_NONE;
	c->send.stamp = id & XBD_STAMP_MASK;
	c->refused = 0;
	c->err = -EINPROGRESS;
	c->fd = socket(c->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&c->addr, len))
		c->err = -errno;
}

static bool waiting(const struct wire_call *c)
{
	return c->err == -EINPROGRESS;
}

static void refused(struct wire_call *c)
{
	if (++c->refused >= REFUSED_MAX)
		c->err = -ECONNREFUSED;
}

static void transmit(struct wire_call *c, const struct xbd_keyring *kr)
{
	uint8_t pkt[sizeof(struct xbd_hdr) + XBD_CONTROL_MAX];
	struct codec_iter it;
	struct xbd_hdr h;
	const uint8_t *body;
	uint32_t len;

	codec_begin(&it, &c->send, kr, XBD_FRAG_MIN);
	while (codec_next(&it, &h, &body, &len)) {
		XBD_ASSERT(len <= XBD_CONTROL_MAX);
		memcpy(pkt, &h, sizeof(h));
		if (len)
			memcpy(pkt + sizeof(h), body, len);
		if (send(c->fd, pkt, sizeof(h) + len, 0) >= 0)
			continue;
		if (errno == ECONNREFUSED)
			refused(c);
		else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			c->err = -errno;
	}
}

static void take(struct wire_call *c, const struct xbd_msg *m)
{
	if (m->h.type != c->answer || (m->h.stamp & XBD_STAMP_MASK) != c->send.stamp ||
	    m->h.shard != c->send.shard)
		return;
	if (m->h.type == XBD_T_INFO_R)
		memcpy(&c->info, m->body, sizeof(c->info));
	c->status = XBD_STATUS(m->h.stamp);
	c->err = 0;
}

static void receive(struct wire_call *c, const struct xbd_keyring *kr)
{
	uint8_t pkt[sizeof(struct xbd_hdr) + XBD_BODY_MAX];
	struct xbd_msg m;
	ssize_t n;

	while (waiting(c)) {
		n = recv(c->fd, pkt, sizeof(pkt), 0);
		if (n < 0 && errno == ECONNREFUSED)
			refused(c);
		if (n < 0)
			return;
		if (codec_decode(&m, pkt, (size_t)n, kr, XBD_SIDE_CLIENT) == XBD_V_ACCEPTED)
			take(c, &m);
	}
}

/* Wait for answers to any call until `until`; returns how many calls still wait. */
static unsigned gather(struct wire_call *calls, unsigned n, const struct xbd_keyring *kr,
		       int64_t until_ms)
{
	struct pollfd p[WIRE_CALLS_MAX];
	unsigned left = 1;

	while (left) {
		int64_t ms = until_ms - now_ms();

		left = 0;
		for (unsigned i = 0; i < n; i++) {
			p[i] = (struct pollfd){.fd = waiting(&calls[i]) ? calls[i].fd : -1,
					       .events = POLLIN};
			left += waiting(&calls[i]);
		}
		if (!left || ms <= 0 || poll(p, n, (int)ms) == 0)
			break;
		for (unsigned i = 0; i < n; i++)
			if (p[i].fd >= 0 && p[i].revents)
				receive(&calls[i], kr);
	}
	return left;
}

void wire_run(struct wire_call *calls, unsigned n, unsigned timeout_ms)
{
	int64_t end_ms = now_ms() + timeout_ms, next_ms;
	unsigned wait_ms = RESEND_MIN_MS;
	struct xbd_keyring kr;
	uint64_t id = 0;

	XBD_ASSERT(n <= WIRE_CALLS_MAX);
	codec_keyring_public(&kr);
	xbd_random(&id, sizeof(id));
	for (unsigned i = 0; i < n; i++)
		start(&calls[i], id + i);
	while (n && now_ms() < end_ms) {
		for (unsigned i = 0; i < n; i++)
			if (waiting(&calls[i]))
				transmit(&calls[i], &kr);
		next_ms = now_ms() + wait_ms;
		if (!gather(calls, n, &kr, next_ms < end_ms ? next_ms : end_ms))
			break;
		wait_ms = wait_ms * 2 < RESEND_MAX_MS ? wait_ms * 2 : RESEND_MAX_MS;
	}
	for (unsigned i = 0; i < n; i++) {
		if (calls[i].fd >= 0)
			close(calls[i].fd);
		if (waiting(&calls[i]))
			calls[i].err = calls[i].refused ? -ECONNREFUSED : -ETIMEDOUT;
	}
}

const char *wire_status(uint8_t status)
{
	switch (status) {
#define X(name, value, text)                                                                       \
	case XBD_S_##name:                                                                         \
		return text;
		XBD_STATUSES(X)
#undef X
	default:
		return "unknown status";
	}
}

const char *wire_error(const struct wire_call *c)
{
	switch (c->err) {
	case 0:
		return wire_status(c->status);
	case -ETIMEDOUT:
		return "does not answer: is xbdd running there, and does no firewall drop UDP?";
	case -ECONNREFUSED:
		return "refuses: no xbdd is listening at this address and port";
	default:
		return xbd_strerror(c->err);
	}
}

int wire_info(const struct sockaddr_storage *addr, struct xbd_info *info, const char **why)
{
	struct wire_call c = {.addr = *addr, .send = {.type = XBD_T_INFO}, .answer = XBD_T_INFO_R};

	wire_run(&c, 1, WIRE_TIMEOUT_MS);
	if (c.err) {
		*why = wire_error(&c);
		return c.err;
	}
	*info = c.info;
	return 0;
}
