// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP on a storage node: parse, check, authenticate, fence, steer. Everything refused here the
 * daemon would refuse as well; what is not clearly ours goes to the kernel.
 */
#include "count.h"
#include "parse.h"

#include "proto/check.h"

/* One stale packet per shard goes up in 2^20 ns; the daemon's answer tells a deposed writer. */
#define NOTIFY_SHIFT 20

static __always_inline const struct xbd_xdp_config *configuration(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

/* Is it addressed to us? c then stands in front of our header. */
static __always_inline int parse(struct xbd_cursor *c, struct xbd_frame *f,
				 const struct xbd_xdp_config *cfg)
{
	int v = xbd_parse(c, f);

	if (v != XBD_V_ACCEPTED)
		return v;
	if (f->dst_port != cfg->port)
		return XBD_V_NOT_OURS;
	return bpf_map_lookup_elem(&local, &f->dst) ? XBD_V_ACCEPTED : XBD_V_NOT_OURS;
}

/* xbd_check_tag() with the map in place of the key table: the lookup checks the key id's range. */
static __always_inline int authenticate(const struct xbd_hdr *h)
{
	__u32 id = h->key;
	const struct xbd_key_entry *e = bpf_map_lookup_elem(&keys, &id);

	if (!e || !e->live)
		return XBD_V_KEY;
	return xbd_siphash56(&e->key, (const __u64 *)h) == h->tag ? XBD_V_ACCEPTED : XBD_V_TAG;
}

static __always_inline int fence_check(const struct xbd_hdr *h)
{
	__u32 shard = h->shard, now;
	struct xbd_fence *f = bpf_map_lookup_elem(&fence, &shard);

	if (!f || !xbd_is_stale(h, *(volatile __u32 *)&f->epoch))
		return XBD_V_STEERED;
	now = bpf_ktime_get_ns() >> NOTIFY_SHIFT;
	if (f->notified == now)
		return XBD_V_STALE;
	f->notified = now;
	return XBD_V_STALE_NOTIFY;
}

/* The verdict on a frame, STEERED or STALE_NOTIFY if it is to be given to the daemon. */
static __always_inline int judge(struct xdp_md *ctx, const struct xbd_xdp_config *cfg)
{
	struct xbd_cursor c = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	__u32 frame_len = bpf_xdp_get_buff_len(ctx), len;
	const struct xbd_hdr *at;
	struct xbd_frame f;
	struct xbd_hdr h;
	int v = parse(&c, &f, cfg);

	if (v != XBD_V_ACCEPTED)
		return v;
	len = xbd_datagram(&f, frame_len);
	if (!len)
		return XBD_V_SHORT;
	at = XBD_TAKE(&c, struct xbd_hdr);
	if (!at)
		return XBD_V_NO_SOCKET; /* spread over buffers: the kernel puts it together */
	__builtin_memcpy(&h, at, sizeof(h));
	v = xbd_check(&h, len - sizeof(h), cfg->side ? XBD_SIDE_STORE : XBD_SIDE_CLIENT);
	if (v != XBD_V_ACCEPTED)
		return v;
	v = authenticate(&h);
	if (v != XBD_V_ACCEPTED)
		return v;
	if (frame_len > cfg->len_max)
		return XBD_V_NO_SOCKET;
	return fence_check(&h);
}

SEC("xdp.frags")
int xdp_node(struct xdp_md *ctx)
{
	const struct xbd_xdp_config *cfg = configuration();
	int v, action;

	if (!cfg)
		return XDP_PASS;
	v = judge(ctx, cfg);
	switch (v) {
	case XBD_V_NOT_OURS:
	case XBD_V_IP_FRAGMENT:
	case XBD_V_NO_SOCKET:
		action = XDP_PASS;
		break;
	case XBD_V_STEERED:
	case XBD_V_STALE_NOTIFY:
		action = bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
		if (action != XDP_REDIRECT)
			v = XBD_V_NO_SOCKET;
		break;
	default:
		action = XDP_DROP;
	}
	count(v);
	return action;
}

char _license[] SEC("license") = "GPL";
