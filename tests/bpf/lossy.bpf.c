// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bad network, at the TC ingress of a device: loses, duplicates and reorders UDP packets.
 *
 * A packet cannot be kept here, but its bytes can: a packet to be reordered is copied into a slot
 * and dropped. A later packet goes on as a clone of itself, and what is left of it is rewritten
 * into the packet held. Which later packet does that is fixed by the slot: packet number n serves
 * slot n mod SLOTS, so a packet is late by 1 to SLOTS - 1 others, or until there is traffic again.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>

#include "lossy.h"

#define SLOTS	  16u
#define FRAME_MAX 9216u
#define SEEN_MARK 0x58424421u /* this packet has been here */
#define CHUNK	  512u	      /* bytes bpf_csum_diff takes at once */

#define NTOHS(x) __builtin_bswap16(x)

enum { EMPTY, BUSY, FULL };

struct slot {
	__u32 state;
	__u32 len;
	__u32 protocol;
	__u32 pad;
	__u8 data[FRAME_MAX + CHUNK];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} lossy_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lossy_config);
} lossy_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSSY_END);
	__type(key, __u32);
	__type(value, __u64);
} lossy_stats SEC(".maps");

static __u32 number; /* of packets */

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&lossy_stats, &what);

	if (n)
		++*n;
}

static __always_inline int chance(__u64 p)
{
	return bpf_get_prandom_u32() < p;
}

static __always_inline int is_udp(struct __sk_buff *skb)
{
	__u8 proto = 0;

	if (skb->protocol == NTOHS(ETH_P_IP))
		bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, protocol), &proto, 1);
	else if (skb->protocol == NTOHS(ETH_P_IPV6))
		bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &proto, 1);
	return proto == IPPROTO_UDP;
}

/* Send a copy on its way; it comes by here again and is recognised. */
static __always_inline void send_copy(struct __sk_buff *skb)
{
	skb->mark = SEEN_MARK;
	if (bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS))
		count(LOSSY_failed);
	skb->mark = 0;
}

/* The sum of the UDP packet in s over IPv6; what follows its end is zero. */
static __always_inline __u16 checksum6(struct slot *s, __u32 udp_len)
{
	__u32 pseudo[2] = {__builtin_bswap32(udp_len), __builtin_bswap32(IPPROTO_UDP)};
	__u8 *udp = s->data + ETH_HLEN + sizeof(struct ipv6hdr);
	__s64 sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), 0);

	sum = bpf_csum_diff(0, 0, (void *)(s->data + ETH_HLEN + 8), 32, sum);
	for (__u32 at = 0; at < FRAME_MAX && at < udp_len; at += CHUNK)
		sum = bpf_csum_diff(0, 0, (void *)(udp + at), CHUNK, sum);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0xffff : ~sum;
}

/*
 * The checksum may have been left to a device, which the packet that will carry these bytes does
 * not know. IPv4: none. IPv6: must be right.
 */
static __always_inline void settle_checksum(struct slot *s, __u32 len)
{
	struct udphdr *udp4 = (void *)(s->data + ETH_HLEN + sizeof(struct iphdr));
	struct udphdr *udp6 = (void *)(s->data + ETH_HLEN + sizeof(struct ipv6hdr));

	if (s->protocol == NTOHS(ETH_P_IP)) {
		udp4->check = 0;
		return;
	}
	for (__u32 i = 0; i < CHUNK; i += 8)
		*(volatile __u64 *)(s->data + len + i) = 0;
	udp6->check = 0;
	udp6->check = checksum6(s, NTOHS(udp6->len));
}

static __always_inline int hold(struct __sk_buff *skb, __u32 n)
{
	__u32 at = (n + 1 + bpf_get_prandom_u32() % (SLOTS - 1)) % SLOTS, len = skb->len;
	struct slot *s = bpf_map_lookup_elem(&lossy_slots, &at);

	if (!s || skb->vlan_present || len < ETH_HLEN + sizeof(struct ipv6hdr) + 8)
		return 0;
	if (__sync_val_compare_and_swap(&s->state, EMPTY, BUSY) != EMPTY)
		return 0;
	asm volatile("" : "+r"(len));
	if (len == 0 || len > FRAME_MAX || bpf_skb_load_bytes(skb, 0, s->data, len)) {
		s->state = EMPTY;
		return 0;
	}
	s->len = len;
	s->protocol = skb->protocol;
	settle_checksum(s, len);
	__sync_lock_test_and_set(&s->state, FULL);
	count(LOSSY_held);
	return 1;
}

/* Turn skb into the packet in s. */
static __always_inline int become(struct __sk_buff *skb, struct slot *s)
{
	__u32 len = s->len;

	if (bpf_skb_change_tail(skb, len, 0))
		return 0;
	asm volatile("" : "+r"(len));
	if (len == 0 || len > FRAME_MAX)
		return 0;
	return bpf_skb_store_bytes(skb, 0, s->data, len, 0) == 0;
}

/* If a packet waits for number n: skb goes on as a copy unless it is lost, and becomes it. */
static __always_inline int release(struct __sk_buff *skb, __u32 n, int gone)
{
	__u32 at = n % SLOTS;
	struct slot *s = bpf_map_lookup_elem(&lossy_slots, &at);
	int ok;

	if (!s || skb->vlan_present || s->protocol != skb->protocol)
		return 0;
	if (__sync_val_compare_and_swap(&s->state, FULL, BUSY) != FULL)
		return 0;
	if (!gone)
		send_copy(skb);
	ok = become(skb, s);
	__sync_lock_test_and_set(&s->state, EMPTY);
	count(ok ? LOSSY_released : LOSSY_failed);
	return ok ? TC_ACT_OK + 1 : TC_ACT_SHOT + 1;
}

SEC("tc")
int lossy(struct __sk_buff *skb)
{
	__u32 zero = 0, n;
	const struct lossy_config *c = bpf_map_lookup_elem(&lossy_config, &zero);
	int whole, gone, action;

	if (skb->mark == SEEN_MARK) {
		skb->mark = 0;
		return TC_ACT_OK;
	}
	if (!c || !is_udp(skb))
		return TC_ACT_OK;
	count(LOSSY_seen);
	n = __sync_fetch_and_add(&number, 1);
	whole = skb->gso_segs > 1;
	if (whole)
		count(LOSSY_unsegmented);
	gone = chance(c->loss);
	if (gone) {
		count(LOSSY_lost);
	} else if (chance(c->dup)) {
		count(LOSSY_duplicated);
		send_copy(skb);
	}
	if (!whole && !gone && chance(c->reorder))
		gone = hold(skb, n);
	action = whole ? 0 : release(skb, n, gone);
	if (action)
		return action - 1;
	return gone ? TC_ACT_SHOT : TC_ACT_OK;
}

/*
 * With an XDP program on its end of a veth pair, the other end cuts large sends into packets before
 * they come here: whole trains of packets would be lost otherwise.
 */
SEC("xdp.frags")
int lossy_cut(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
