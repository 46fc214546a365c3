/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "net/private.h"

_Static_assert(NET_PEERS_MAX == PEERS_MAX, "one table");

#define PEERS_PER_SEND 16u
/*
 * Data of that many packets leaves by the UDP socket: the kernel cuts one GSO send (or the NIC
 * does) for less than AF_XDP in copy mode takes to send the frames one by one. Measured on veth:
 * equal at 2 packets, 1.8 times the rate at 4, 6 times at 128.
 */
#define BULK_PACKETS 4u

static const char *mode_text(enum net_mode mode)
{
	switch (mode) {
#define X(name, text)                                                                              \
	case NET_MODE_##name:                                                                      \
		return text;
		NET_MODES(X)
#undef X
	}
	return "?";
}

/* Handle of a sender; most packets come from the one before. */
static uint32_t sender(struct net *n, const struct peer_key *key)
{
	if (n->last == PEER_NONE || memcmp(&n->peers.peer[n->last].key, key, sizeof(*key)))
		n->last = peers_get(&n->peers, key, false);
	return n->last;
}

static void deliver(struct net *n, struct xbd_msg *m, const struct peer_key *key)
{
	m->from = sender(n, key);
	if (m->from == PEER_NONE) {
		n->count.verdict[XBD_V_NO_BUFFER]++;
		return;
	}
	n->count.rx_packets++;
	n->count.rx_bytes += sizeof(m->h) + m->body_len;
	n->delivered = true;
	n->ops->rx(n->ctx, m);
}

static void udp_received(void *ctx, const struct sockaddr *from, const void *pkt, size_t len)
{
	struct net *n = ctx;
	struct xbd_msg m;
	struct peer_key key;
	int v = codec_decode(&m, pkt, len, &n->kr, n->side);

	n->count.verdict[v]++;
	if (v != XBD_V_ACCEPTED || peer_key_of(&key, from))
		return;
	n->count.rx_udp++;
	/* its packets do not come by AF_XDP (any more): answer the way they come */
	if (sender(n, &key) != PEER_NONE)
		n->peers.peer[n->last].link.known = false;
	deliver(n, &m, &key);
}

/* XDP has counted it already, unless it erred. */
static void xdp_received(void *ctx, const struct peer_key *key, const struct peer_link *link,
			 const void *pkt, size_t len)
{
	struct net *n = ctx;
	struct xbd_msg m;
	int v = codec_decode(&m, pkt, len, &n->kr, n->side);

	if (v != XBD_V_ACCEPTED) {
		n->count.verdict[v]++;
		return;
	}
	n->count.rx_xsk++;
	if (sender(n, key) != PEER_NONE)
		n->peers.peer[n->last].link = *link;
	deliver(n, &m, key);
}

static const struct xdp_ops xdp_callbacks = {.rx = xdp_received};
static const struct udp_ops udp_callbacks = {.rx = udp_received};

static void end_turn(struct loop_hook *h)
{
	struct net *n = (struct net *)((char *)h - offsetof(struct net, hook));

	if (n->xdp)
		xdp_receive(n->xdp);
	if (n->delivered && n->ops->rx_end)
		n->ops->rx_end(n->ctx);
	n->delivered = false;
	net_flush(n);
}

static bool busy(struct loop_hook *h)
{
	struct net *n = (struct net *)((char *)h - offsetof(struct net, hook));

	return n->delivered || udp_pending(n->udp) || (n->xdp && xdp_busy(n->xdp));
}

/* The interface decides about the fragment size; without one each peer's route does. */
static int find_interface(struct net *n, const struct net_config *cfg, char *why)
{
	int err = iface_find(&n->iface, cfg->interface, (const struct sockaddr *)&cfg->listen);
	bool insists = cfg->transport == NET_XDP && cfg->side == XBD_SIDE_STORE;
	bool needed = cfg->interface || insists;

	if (err && needed) {
		snprintf(why, NET_WHY, "%s%s: %s", cfg->interface ? "interface " : "",
			 cfg->interface ? cfg->interface : "no interface has the listen address",
			 err == -ENODEV ? "does not exist" : xbd_strerror(err));
		return err;
	}
	if (!err && n->iface.mtu < NET_MTU_MIN) {
		snprintf(why, NET_WHY, "MTU %u of %s is too small: at least %u is needed",
			 n->iface.mtu, n->iface.name, NET_MTU_MIN);
		return -EMSGSIZE;
	}
	return 0;
}

static void set_frag_len(struct net *n, const struct net_config *cfg)
{
	n->frag_fixed = cfg->frag_len != 0;
	n->frag_len = XBD_FRAG_MIN;
	if (n->frag_fixed)
		n->frag_len = cfg->frag_len;
	else if (n->iface.index)
		n->frag_len = codec_frag_len(n->iface.mtu);
}

static void fill_info(struct net *n)
{
	struct net_info *i = &n->info;

	i->mode = NET_MODE_UDP;
	i->mtu = n->iface.mtu;
	i->queues = 1;
	snprintf(i->interface, sizeof(i->interface), "%s", n->iface.name);
}

/* Reasons for which AF_XDP is not even tried; NULL = none. */
static const char *no_xdp(const struct net *n, const struct net_config *cfg)
{
	if (cfg->transport == NET_UDP)
		return "UDP asked for";
	if (cfg->side != XBD_SIDE_STORE)
		return "exporting hosts use UDP";
	if (!n->iface.index)
		return "no interface named and the listen address belongs to none";
	if (n->iface.loopback)
		return "the loopback interface has no use for AF_XDP";
	if (iface_hides_vlan(&n->iface, (const struct sockaddr *)&cfg->listen))
		return "the interface strips VLAN tags: ethtool -K INTERFACE rxvlan off";
	return NULL;
}

static int open_xdp(struct net *n, const struct net_config *cfg, char *why)
{
	struct xdp_config xc = {
		.iface = n->iface,
		.side = cfg->side,
		.frames = cfg->frames,
		.pin_dir = cfg->pin_dir,
	};
	const char *not_tried = no_xdp(n, cfg);
	int err = -EOPNOTSUPP;

	if (not_tried) {
		snprintf(why, NET_WHY, "%s", not_tried);
	} else {
		udp_address(n->udp, &xc.listen);
		err = xdp_open(&n->xdp, n->l, &xc, &xdp_callbacks, n, &n->count, &n->info, why);
	}
	if (!err)
		err = xdp_set_keys(n->xdp, &n->kr);
	/* one setting for a whole cluster: clients have no AF_XDP to insist on */
	if (!err || (cfg->transport == NET_XDP && cfg->side == XBD_SIDE_STORE))
		return err;
	snprintf(n->info.why, sizeof(n->info.why), "%s", why);
	return 0;
}

/* Without multi-buffer sockets a 4096-byte fragment does not fit AF_XDP. */
static void settle_frag_len(struct net *n)
{
	if (n->xdp && !n->info.multibuf && n->frag_len > 2048) {
		n->frag_len = 2048;
		snprintf(n->info.why, sizeof(n->info.why),
			 "no multi-buffer AF_XDP in this kernel: fragments of 2048 bytes");
	}
	n->info.frag_len = n->frag_len;
	n->info.mode_text = mode_text(n->info.mode);
}

static bool frag_len_valid(uint32_t len)
{
	return len == 0 || len == 1024 || len == 2048 || len == 4096;
}

int net_open(struct net **out, struct loop *l, const struct net_config *cfg,
	     const struct net_ops *ops, void *ctx, char *why)
{
	struct net *n;
	int err;

	why[0] = 0;
	if (!frag_len_valid(cfg->frag_len)) {
		snprintf(why, NET_WHY, "fragment size %u: 1024, 2048 or 4096 is possible",
			 cfg->frag_len);
		return -EINVAL;
	}
	n = calloc(1, sizeof(*n));
	if (!n) {
		snprintf(why, NET_WHY, "out of memory");
		return -ENOMEM;
	}
	n->l = l;
	n->ops = ops;
	n->ctx = ctx;
	n->side = cfg->side;
	n->last = PEER_NONE;
	codec_keyring_public(&n->kr);
	err = find_interface(n, cfg, why);
	if (!err)
		err = udp_open(&n->udp, l, &cfg->listen, &udp_callbacks, n, &n->count, why);
	if (err) {
		free(n);
		return err;
	}
	peers_init(&n->peers, udp_family(n->udp));
	set_frag_len(n, cfg);
	fill_info(n);
	err = open_xdp(n, cfg, why);
	if (err) {
		xdp_close(n->xdp);
		udp_close(n->udp);
		free(n);
		return err;
	}
	why[0] = 0;
	settle_frag_len(n);
	n->hook = (struct loop_hook){.fn = end_turn, .busy = busy};
	loop_hook_add(l, &n->hook);
	*out = n;
	return 0;
}

void net_close(struct net *n)
{
	if (!n)
		return;
	net_flush(n);
	loop_hook_remove(n->l, &n->hook);
	xdp_close(n->xdp);
	udp_close(n->udp);
	free(n);
}

uint32_t net_peer_add(struct net *n, const struct sockaddr *addr, socklen_t len)
{
	struct peer_key key;
	struct peer *p;
	uint32_t i, mtu;

	if (peer_key_of(&key, addr))
		return UINT32_MAX;
	i = peers_get(&n->peers, &key, true);
	if (i == PEER_NONE)
		return UINT32_MAX;
	p = &n->peers.peer[i];
	mtu = iface_path_mtu((struct sockaddr *)&p->sa, p->sa_len);
	p->frag_len = mtu ? codec_frag_len(mtu) : 0;
	return i;
}

bool net_peer_addr(const struct net *n, uint32_t peer, struct sockaddr_storage *addr)
{
	if (peer >= PEERS_MAX || !n->peers.peer[peer].used)
		return false;
	peer_sockaddr(&n->peers.peer[peer].key, addr);
	return true;
}

/* The largest fragment that all of them can be sent. */
static uint32_t common_frag_len(const struct net *n, const struct peer *const *to, unsigned count)
{
	uint32_t len = XBD_FRAG_MAX;

	if (n->frag_fixed)
		return n->frag_len;
	for (unsigned i = 0; i < count; i++) {
		uint32_t one = to[i]->frag_len ? to[i]->frag_len : n->frag_len;

		len = one < len ? one : len;
	}
	return len;
}

static bool is_bulk(const struct net *n, const struct xbd_send *s, uint32_t frag_len)
{
	return s->crc && s->body_len / frag_len >= BULK_PACKETS &&
	       n->info.mode != NET_MODE_XDP_ZEROCOPY;
}

/* By AF_XDP if the peer has been heard there and there is room. */
static bool sent_by_xdp(struct net *n, const struct peer *to, const struct xbd_send *s)
{
	uint32_t frag_len = common_frag_len(n, &to, 1);

	if (!n->xdp || !to->link.known || is_bulk(n, s, frag_len))
		return false;
	return xdp_send(n->xdp, to, s, &n->kr, frag_len);
}

static void send_some(struct net *n, const uint32_t *peers, unsigned count,
		      const struct xbd_send *s)
{
	const struct peer *to[PEERS_PER_SEND];
	unsigned k = 0;

	for (unsigned i = 0; i < count; i++) {
		if (peers[i] >= PEERS_MAX || !n->peers.peer[peers[i]].used) {
			n->count.tx_dropped++;
			continue;
		}
		to[k] = &n->peers.peer[peers[i]];
		k += !sent_by_xdp(n, to[k], s);
	}
	if (k)
		udp_send(n->udp, to, k, s, &n->kr, common_frag_len(n, to, k));
}

void net_send(struct net *n, const uint32_t *peers, unsigned count, const struct xbd_send *s)
{
	for (unsigned at = 0; at < count; at += PEERS_PER_SEND) {
		unsigned left = count - at;

		send_some(n, peers + at, left < PEERS_PER_SEND ? left : PEERS_PER_SEND, s);
	}
}

void net_flush(struct net *n)
{
	if (n->xdp)
		xdp_flush(n->xdp);
	udp_flush(n->udp);
}

void net_fence(struct net *n, uint32_t shard, uint32_t epoch)
{
	XBD_ASSERT(shard < XBD_SHARDS_MAX);
	if (n->xdp)
		xdp_fence(n->xdp, shard, epoch);
}

void net_set_keyring(struct net *n, const struct xbd_keyring *kr)
{
	XBD_ASSERT(kr->use < XBD_KEYS);
	n->kr = *kr;
	/* the map exists and its keys are in range: this cannot fail */
	if (n->xdp)
		(void)xdp_set_keys(n->xdp, kr);
}

void net_info(const struct net *n, struct net_info *out)
{
	*out = n->info;
}

void net_counters(const struct net *n, struct net_counters *out)
{
	*out = n->count;
	if (!n->xdp)
		return;
	xdp_counters(n->xdp, out->verdict_xdp);
	for (unsigned v = 0; v < XBD_V_END; v++)
		out->verdict[v] += out->verdict_xdp[v];
}
