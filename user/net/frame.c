/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/frame.h"

#include <string.h>

#include "base/assert.h"
#include "kern/parse.h"

#define TTL 64

_Static_assert(sizeof(struct xbd_address) == sizeof(struct in6_addr), "same bytes");

uint32_t frame_parse(const uint8_t *frame, uint32_t len, unsigned ifindex, struct peer_key *key,
		     struct peer_link *link, const uint8_t **pkt)
{
	struct xbd_cursor c = {frame, frame + len};
	struct xbd_frame f;
	uint32_t n;

	if (xbd_parse(&c, &f) != XBD_V_ACCEPTED)
		return 0;
	n = xbd_datagram(&f, len);
	if (!n)
		return 0;
	memset(key, 0, sizeof(*key));
	memcpy(&key->addr, f.src.b, sizeof(key->addr));
	key->port = f.src_port;
	if (IN6_IS_ADDR_LINKLOCAL(&key->addr))
		key->scope = ifindex;
	memcpy(&link->local, f.dst.b, sizeof(link->local));
	memcpy(link->local_mac, frame, ETH_ALEN);
	memcpy(link->mac, frame + ETH_ALEN, ETH_ALEN);
	link->tci = f.tci;
	link->tagged = f.tagged;
	link->known = true;
	*pkt = c.pos;
	return n;
}

/* Sum of 16-bit words as they lie in memory, not folded. */
static uint64_t sum(uint64_t acc, const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint32_t w;
	uint16_t h = 0;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&w, p, 4);
		acc += w;
	}
	if (len >= 2) {
		memcpy(&h, p, 2);
		acc += h;
		p += 2;
		len -= 2;
	}
	if (len) {
		h = *p;
		acc += h;
	}
	return acc;
}

static uint16_t fold(uint64_t acc)
{
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return (uint16_t)~acc;
}

static uint8_t *put_eth(uint8_t *at, const struct peer_link *link, uint16_t proto)
{
	struct ethhdr *eth = (void *)at;
	struct xbd_vlan *vlan = (void *)(eth + 1);

	memcpy(eth->h_dest, link->mac, ETH_ALEN);
	memcpy(eth->h_source, link->local_mac, ETH_ALEN);
	if (!link->tagged) {
		eth->h_proto = XBD_NTOHS(proto);
		return at + sizeof(*eth);
	}
	eth->h_proto = XBD_NTOHS(ETH_P_8021Q);
	vlan->tci = XBD_NTOHS(link->tci);
	vlan->proto = XBD_NTOHS(proto);
	return at + sizeof(*eth) + sizeof(*vlan);
}

static uint8_t *put_ip4(uint8_t *at, const struct peer *p, uint32_t udp_len)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = XBD_NTOHS((uint16_t)(sizeof(ip) + udp_len)),
		.frag_off = XBD_NTOHS(0x4000), /* do not fragment */
		.ttl = TTL,
		.protocol = IPPROTO_UDP,
	};

	memcpy(&ip.saddr, &p->link.local.s6_addr[12], 4);
	memcpy(&ip.daddr, &p->key.addr.s6_addr[12], 4);
	ip.check = fold(sum(0, &ip, sizeof(ip)));
	memcpy(at, &ip, sizeof(ip));
	return at + sizeof(ip);
}

static uint8_t *put_ip6(uint8_t *at, const struct peer *p, uint32_t udp_len)
{
	struct ipv6hdr ip = {
		.version = 6,
		.payload_len = XBD_NTOHS((uint16_t)udp_len),
		.nexthdr = IPPROTO_UDP,
		.hop_limit = TTL,
	};

	memcpy(&ip.saddr, &p->link.local, sizeof(ip.saddr));
	memcpy(&ip.daddr, &p->key.addr, sizeof(ip.daddr));
	memcpy(at, &ip, sizeof(ip));
	return at + sizeof(ip);
}

/* UDP over IPv6 must have a checksum; over IPv4 it may be left out, and our own ones cover all. */
static uint16_t checksum6(const struct peer *p, const struct udphdr *udp, const struct xbd_hdr *h,
			  const void *body, uint32_t body_len)
{
	uint64_t acc = (uint64_t)udp->len + XBD_NTOHS(IPPROTO_UDP);
	uint16_t check;

	acc = sum(acc, &p->link.local, sizeof(p->link.local));
	acc = sum(acc, &p->key.addr, sizeof(p->key.addr));
	acc = sum(acc, udp, sizeof(*udp));
	acc = sum(acc, h, sizeof(*h));
	check = fold(sum(acc, body, body_len));
	return check ? check : 0xffff;
}

uint32_t frame_build(uint8_t *to, const struct peer *p, uint16_t port, const struct xbd_hdr *h,
		     const void *body, uint32_t body_len)
{
	uint32_t udp_len = (uint32_t)(sizeof(struct udphdr) + sizeof(*h)) + body_len;
	bool v4 = peer_key_is_ipv4(&p->key);
	struct udphdr udp = {
		.source = port,
		.dest = p->key.port,
		.len = XBD_NTOHS((uint16_t)udp_len),
	};
	uint8_t *at;

	XBD_ASSERT(p->link.known && body_len <= XBD_BODY_MAX);
	at = put_eth(to, &p->link, v4 ? ETH_P_IP : ETH_P_IPV6);
	at = v4 ? put_ip4(at, p, udp_len) : put_ip6(at, p, udp_len);
	if (!v4)
		udp.check = checksum6(p, &udp, h, body, body_len);
	memcpy(at, &udp, sizeof(udp));
	return (uint32_t)(at + sizeof(udp) - to);
}
