/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/udp_private.h"

#define FRAGS_MAX XBD_OP_UNITS

_Static_assert(FRAGS_MAX <= UDP_HDRS, "one message always fits an empty queue");
_Static_assert(UDP_COPY_MAX <= UDP_ARENA, "and so does its body");

/* One message, encoded: its packets are iov[first, first + n * step). */
struct bundle {
	unsigned first, n;
	unsigned step; /* vectors of one packet: header, or header and body */
	uint32_t packet_len;
};

int udp_tx_init(struct udp *u)
{
	u->tx.arena = malloc(UDP_ARENA);
	u->tx.gso = true;
	return u->tx.arena ? 0 : -ENOMEM;
}

void udp_tx_free(struct udp *u)
{
	free(u->tx.arena);
}

bool udp_pending(const struct udp *u)
{
	return u->tx.nmsgs != 0;
}

/* Packets in a queued message: only what has bodies is ever sent several at a time. */
static unsigned packets_of(const struct msghdr *m)
{
	return m->msg_iovlen <= 2 ? 1 : (unsigned)m->msg_iovlen / 2;
}

static void count_sent(struct udp *u, const struct mmsghdr *m)
{
	u->count->tx_packets += packets_of(&m->msg_hdr);
	u->count->tx_bytes += m->msg_len;
}

/* The fragments of a message one by one: this path or device cannot segment. */
static void send_singly(struct udp *u, const struct msghdr *m)
{
	for (size_t i = 0; i < m->msg_iovlen; i += 2) {
		struct msghdr one = {.msg_name = m->msg_name,
				     .msg_namelen = m->msg_namelen,
				     .msg_iov = m->msg_iov + i,
				     .msg_iovlen = 2};
		ssize_t n = sendmsg(u->fd, &one, MSG_NOSIGNAL);

		u->count->tx_calls++;
		if (n < 0) {
			u->count->tx_dropped++;
			continue;
		}
		u->count->tx_packets++;
		u->count->tx_bytes += (uint64_t)n;
	}
}

/* The first unsent message was refused. How many messages are done with. */
static unsigned refused(struct udp *u, unsigned at, int err)
{
	const struct msghdr *m = &u->tx.msg[at].msg_hdr;

	if (err == EINTR)
		return 0;
	if (err == EAGAIN || err == EWOULDBLOCK) {
		/* congested for longer than we wait: the receivers will ask again */
		for (unsigned i = at; i < u->tx.nmsgs; i++)
			u->count->tx_dropped += packets_of(&u->tx.msg[i].msg_hdr);
		return u->tx.nmsgs - at;
	}
	if (m->msg_controllen && (err == EIO || err == EINVAL || err == EMSGSIZE)) {
		if (err == EIO)
			u->tx.gso = false;
		send_singly(u, m);
		return 1;
	}
	u->count->tx_dropped += packets_of(m);
	return 1;
}

static void flush_messages(struct udp *u)
{
	struct udp_tx *tx = &u->tx;
	unsigned at = 0;

	while (at < tx->nmsgs) {
		int n = sendmmsg(u->fd, tx->msg + at, tx->nmsgs - at, MSG_NOSIGNAL);

		u->count->tx_calls++;
		if (n <= 0) {
			at += refused(u, at, errno);
			continue;
		}
		for (int i = 0; i < n; i++)
			count_sent(u, &tx->msg[at + (unsigned)i]);
		at += (unsigned)n;
	}
	tx->nmsgs = 0;
}

void udp_flush(struct udp *u)
{
	flush_messages(u);
	u->tx.nhdrs = u->tx.niov = 0;
	u->tx.used = 0;
}

/* Kept until the flush; large data is not copied, its caller flushes. */
static const void *keep_body(struct udp_tx *tx, const struct xbd_send *s)
{
	uint8_t *copy = tx->arena + tx->used;

	if (!s->body_len || s->body_len > UDP_COPY_MAX)
		return s->body;
	XBD_ASSERT(tx->used + s->body_len <= UDP_ARENA);
	memcpy(copy, s->body, s->body_len);
	tx->used += (s->body_len + 63u) & ~63u;
	return copy;
}

static struct bundle encode(struct udp_tx *tx, const struct xbd_send *s,
			    const struct xbd_keyring *kr, uint32_t frag_len)
{
	struct xbd_send kept = *s;
	struct bundle b = {.first = tx->niov};
	struct codec_iter it;
	const uint8_t *body;
	uint32_t len;

	kept.body = keep_body(tx, s);
	codec_begin(&it, &kept, kr, frag_len);
	while (codec_next(&it, &tx->hdr[tx->nhdrs], &body, &len)) {
		tx->iov[tx->niov++] = (struct iovec){&tx->hdr[tx->nhdrs++], sizeof(struct xbd_hdr)};
		if (len)
			tx->iov[tx->niov++] = (struct iovec){(void *)body, len};
		b.step = len ? 2 : 1;
		b.packet_len = (uint32_t)sizeof(struct xbd_hdr) + len;
		b.n++;
	}
	return b;
}

/* Queue packets [at, at + n) of a bundle to one peer. */
static void queue(struct udp *u, const struct peer *to, const struct bundle *b, unsigned at,
		  unsigned n)
{
	struct udp_tx *tx = &u->tx;
	struct msghdr *m;

	if (tx->nmsgs == UDP_MSGS)
		flush_messages(u);
	m = &tx->msg[tx->nmsgs].msg_hdr;
	*m = (struct msghdr){
		.msg_name = (void *)&to->sa,
		.msg_namelen = to->sa_len,
		.msg_iov = &tx->iov[b->first + at * b->step],
		.msg_iovlen = n * b->step,
	};
	if (n > 1) {
		union udp_control *c = &tx->control[tx->nmsgs];
		uint16_t size = (uint16_t)b->packet_len;

		m->msg_control = c;
		m->msg_controllen = sizeof(*c);
		c->align.cmsg_level = SOL_UDP;
		c->align.cmsg_type = UDP_SEGMENT;
		c->align.cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(&c->align), &size, sizeof(size));
	}
	tx->nmsgs++;
}

static unsigned packets_per_send(const struct udp_tx *tx, const struct bundle *b)
{
	unsigned n = UDP_GSO_BYTES / b->packet_len;

	if (!tx->gso)
		return 1;
	return n > UDP_GSO_SEGMENTS ? UDP_GSO_SEGMENTS : n;
}

void udp_send(struct udp *u, const struct peer *const *to, unsigned count, const struct xbd_send *s,
	      const struct xbd_keyring *kr, uint32_t frag_len)
{
	struct udp_tx *tx = &u->tx;
	struct bundle b;
	unsigned per;

	if (tx->nhdrs + FRAGS_MAX > UDP_HDRS || tx->used + UDP_COPY_MAX > UDP_ARENA)
		udp_flush(u);
	b = encode(tx, s, kr, frag_len);
	if (!b.n)
		return;
	per = packets_per_send(tx, &b);
	for (unsigned i = 0; i < count; i++)
		for (unsigned at = 0; at < b.n; at += per)
			queue(u, to[i], &b, at, b.n - at < per ? b.n - at : per);
	if (s->body_len > UDP_COPY_MAX)
		udp_flush(u);
}
