/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From an Ethernet frame to a UDP datagram: one optional VLAN tag, IPv4 without options or IPv6
 * without extension headers, UDP. Bounds are checked before every access in the form that the BPF
 * verifier follows; the daemons parse frames from AF_XDP sockets with the same code.
 */
#ifndef XBD_PARSE_H
#define XBD_PARSE_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "proto/check.h"
#include "proto/maps.h"

#define XBD_NTOHS(x) __builtin_bswap16(x)

/* Next headers; <linux/in.h> cannot be had together with the C library's <netinet/in.h>. */
enum {
	XBD_IP_UDP = 17,
	XBD_IP6_HOP_OPTIONS = 0,
	XBD_IP6_ROUTING = 43,
	XBD_IP6_FRAGMENT = 44,
	XBD_IP6_DST_OPTIONS = 60,
};

/* IPv4: reserved bit aside, more fragments and the offset. */
#define XBD_IP_FRAGMENTED 0x3fff

struct xbd_vlan {
	__u16 tci;   /* network byte order */
	__u16 proto; /* network byte order */
};

/* The reader's place in a frame: [pos, end) is left of its first buffer. */
struct xbd_cursor {
	const void *pos;
	const void *end;
};

/* What a frame's headers say. Values, not pointers: the verifier cannot tell a missing one. */
struct xbd_frame {
	struct xbd_address src, dst;
	__u16 src_port, dst_port; /* network byte order */
	__u16 tci;		  /* VLAN tag, host byte order; 0 if not tagged */
	__u16 tagged;
	__u32 head;    /* bytes in front of the IP header */
	__u32 ip_head; /* bytes of the IP header: says which version it is */
	__u32 ip_len;  /* bytes of the IP packet, by its header */
	__u32 udp_len; /* bytes of UDP header and payload, by its header */
};

/* Step over a header; NULL if it is not all there. */
#define XBD_TAKE(c, type)                                                                          \
	({                                                                                         \
		const type *xbd_at = (c)->pos;                                                     \
		const void *xbd_next = (const void *)(xbd_at + 1);                                 \
		if (xbd_next > (c)->end)                                                           \
			xbd_at = 0;                                                                \
		else                                                                               \
			(c)->pos = xbd_next;                                                       \
		xbd_at;                                                                            \
	})

XBD_INLINE void xbd_mapped(struct xbd_address *to, const void *ip4)
{
	__builtin_memset(to->b, 0, 10);
	to->b[10] = 0xff;
	to->b[11] = 0xff;
	__builtin_memcpy(&to->b[12], ip4, 4);
}

XBD_INLINE int xbd_parse_ip4(struct xbd_cursor *c, struct xbd_frame *f)
{
	const struct iphdr *ip = XBD_TAKE(c, struct iphdr);

	if (!ip || ip->version != 4 || ip->protocol != XBD_IP_UDP)
		return XBD_V_NOT_OURS;
	if (ip->ihl != 5 || (XBD_NTOHS(ip->frag_off) & XBD_IP_FRAGMENTED))
		return XBD_V_IP_FRAGMENT;
	f->ip_head = sizeof(*ip);
	f->ip_len = XBD_NTOHS(ip->tot_len);
	xbd_mapped(&f->src, &ip->saddr);
	xbd_mapped(&f->dst, &ip->daddr);
	return XBD_V_ACCEPTED;
}

XBD_INLINE int xbd_parse_ip6(struct xbd_cursor *c, struct xbd_frame *f)
{
	const struct ipv6hdr *ip = XBD_TAKE(c, struct ipv6hdr);

	if (!ip || ip->version != 6)
		return XBD_V_NOT_OURS;
	switch (ip->nexthdr) {
	case XBD_IP_UDP:
		break;
	case XBD_IP6_HOP_OPTIONS:
	case XBD_IP6_ROUTING:
	case XBD_IP6_FRAGMENT:
	case XBD_IP6_DST_OPTIONS:
		return XBD_V_IP_FRAGMENT;
	default:
		return XBD_V_NOT_OURS;
	}
	f->ip_head = sizeof(*ip);
	f->ip_len = XBD_NTOHS(ip->payload_len) + (__u32)sizeof(*ip);
	__builtin_memcpy(f->src.b, &ip->saddr, 16);
	__builtin_memcpy(f->dst.b, &ip->daddr, 16);
	return XBD_V_ACCEPTED;
}

XBD_INLINE int xbd_parse_udp(struct xbd_cursor *c, struct xbd_frame *f)
{
	const struct udphdr *udp = XBD_TAKE(c, struct udphdr);

	if (!udp)
		return XBD_V_NOT_OURS;
	f->src_port = udp->source;
	f->dst_port = udp->dest;
	f->udp_len = XBD_NTOHS(udp->len);
	return XBD_V_ACCEPTED;
}

/* EtherType behind an optional VLAN tag, 0 if there is none. */
XBD_INLINE __u16 xbd_parse_eth(struct xbd_cursor *c, struct xbd_frame *f)
{
	const struct ethhdr *eth = XBD_TAKE(c, struct ethhdr);
	const struct xbd_vlan *vlan;
	__u16 proto;

	if (!eth)
		return 0;
	f->head = sizeof(*eth);
	f->tci = 0;
	f->tagged = 0;
	proto = XBD_NTOHS(eth->h_proto);
	if (proto != ETH_P_8021Q)
		return proto;
	vlan = XBD_TAKE(c, struct xbd_vlan);
	if (!vlan)
		return 0;
	f->head += sizeof(*vlan);
	f->tci = XBD_NTOHS(vlan->tci);
	f->tagged = 1;
	return XBD_NTOHS(vlan->proto);
}

/*
 * Parse up to the UDP header. ACCEPTED: *f is filled and c stands behind the UDP header; NOT_OURS
 * or IP_FRAGMENT otherwise. Lengths are not compared yet: xbd_datagram() does that.
 */
XBD_INLINE int xbd_parse(struct xbd_cursor *c, struct xbd_frame *f)
{
	int v = XBD_V_NOT_OURS;

	switch (xbd_parse_eth(c, f)) {
	case ETH_P_IP:
		v = xbd_parse_ip4(c, f);
		break;
	case ETH_P_IPV6:
		v = xbd_parse_ip6(c, f);
		break;
	}
	return v == XBD_V_ACCEPTED ? xbd_parse_udp(c, f) : v;
}

/*
 * Bytes of xbd datagram (header and body) in a parsed frame of frame_len bytes, 0 if its lengths
 * contradict each other or are not possible.
 */
XBD_INLINE __u32 xbd_datagram(const struct xbd_frame *f, __u32 frame_len)
{
	__u32 len = f->udp_len - (__u32)sizeof(struct udphdr);

	if (f->head + f->ip_len > frame_len || f->ip_head + f->udp_len > f->ip_len)
		return 0;
	if (f->udp_len < sizeof(struct udphdr) + sizeof(struct xbd_hdr))
		return 0;
	return len > sizeof(struct xbd_hdr) + XBD_BODY_MAX ? 0 : len;
}

#endif
