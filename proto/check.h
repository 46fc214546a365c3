/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Is this header one that a correct peer could have sent? Plain C without loops or calls, run by
 * the XDP programs, by the daemons on every packet and by the tests. The body is not looked at
 * except for its length.
 */
#ifndef XBD_CHECK_H
#define XBD_CHECK_H

#include "siphash.h"
#include "verdict.h"
#include "wire.h"

/* Which side receives. */
enum xbd_side { XBD_SIDE_STORE = 1, XBD_SIDE_CLIENT = 0 };

#define XBD_INLINE static inline __attribute__((always_inline))

XBD_INLINE int xbd_type_known(__u8 type)
{
	return type >= 1 && type < XBD_T_END;
}

XBD_INLINE int xbd_type_to_store(__u8 type)
{
	switch (type) {
#define X(name, value, to_store, body, text)                                                       \
	case XBD_T_##name:                                                                         \
		return to_store;
		XBD_TYPES(X)
#undef X
	default:
		return -1;
	}
}

/* Flags each type may carry. */
XBD_INLINE __u8 xbd_type_flags(__u8 type)
{
	switch (type) {
	case XBD_T_WRITE:
	case XBD_T_REPAIR:
		return XBD_F_TRIM | XBD_F_ZERO | XBD_F_RETRY;
	case XBD_T_ACK:
		return XBD_F_VOTER | XBD_F_PARTIAL;
	case XBD_T_READ:
		return XBD_F_RECOVER;
	case XBD_T_DATA:
		return XBD_F_TRIM | XBD_F_ZERO | XBD_F_BAD;
	case XBD_T_REPAIRED:
		return XBD_F_BAD;
	case XBD_T_REGIONS_R:
		return XBD_F_MORE;
	default:
		return 0;
	}
}

/* Messages that live inside a promised epoch and are fenced by it. */
XBD_INLINE int xbd_type_fenced(__u8 type)
{
	switch (type) {
	case XBD_T_WRITE:
	case XBD_T_READ:
	case XBD_T_REPAIR:
	case XBD_T_REGIONS:
	case XBD_T_LIST:
	case XBD_T_JOIN:
	case XBD_T_SYNC:
	case XBD_T_ACCEPT:
	case XBD_T_LEASE:
	case XBD_T_RELEASE:
		return 1;
	default:
		return 0;
	}
}

/* Length, fragment and count rules of messages that carry blocks. */
XBD_INLINE int xbd_check_blocks(const struct xbd_hdr *h)
{
	__u32 count = h->count;
	int empty = h->flags & (XBD_F_TRIM | XBD_F_ZERO | XBD_F_BAD);

	if (h->type == XBD_T_DATA && XBD_STATUS(h->stamp) != XBD_S_OK)
		empty = 1;
	if (count == 0 || count > (empty ? XBD_RANGE_BLOCKS : XBD_OP_BLOCKS))
		return XBD_V_COUNT;
	if (h->type == XBD_T_REPAIR && count != 1)
		return XBD_V_COUNT;
	if (h->block >= XBD_SHARD_BLOCKS_MAX || count > XBD_SHARD_BLOCKS_MAX - h->block)
		return XBD_V_RANGE;
	if (h->type == XBD_T_READ)
		return h->len || h->nfrag || h->frag ? XBD_V_LENGTH : XBD_V_ACCEPTED;
	if (empty)
		return h->len || h->nfrag || h->frag ? XBD_V_LENGTH : XBD_V_ACCEPTED;
	if (h->len != 1024 && h->len != 2048 && h->len != 4096)
		return XBD_V_LENGTH;
	if (h->frag >= h->nfrag || (__u32)h->nfrag * h->len != count * XBD_BLOCK_SIZE)
		return XBD_V_FRAGMENT;
	return XBD_V_ACCEPTED;
}

#define XBD_BODY_IS(cond) ((cond) ? XBD_V_ACCEPTED : XBD_V_LENGTH)

/* Length and count rules of control messages; their fragment fields are zero. */
XBD_INLINE int xbd_check_control(const struct xbd_hdr *h)
{
	__u8 status = XBD_STATUS(h->stamp);

	if (h->frag || h->nfrag)
		return XBD_V_FRAGMENT;
	switch (h->type) {
	case XBD_T_ACK:
		if (h->flags & XBD_F_PARTIAL)
			return XBD_BODY_IS(h->len == sizeof(struct xbd_units));
		if (h->len > XBD_ACKS_MAX * sizeof(struct xbd_ack))
			return XBD_V_LENGTH;
		return XBD_BODY_IS(h->len % sizeof(struct xbd_ack) == 0);
	case XBD_T_PROMISE:
		return XBD_BODY_IS(h->len == sizeof(struct xbd_promise));
	case XBD_T_PROMISED:
		return XBD_BODY_IS(h->len == (status ? 0 : sizeof(struct xbd_state)));
	case XBD_T_REGIONS_R:
		if (h->count > XBD_REGIONS_MAX)
			return XBD_V_COUNT;
		return XBD_BODY_IS(h->len == h->count * 4u);
	case XBD_T_LIST_R:
		return XBD_BODY_IS(
			h->len == (status ? 0 : XBD_REGION_BLOCKS * sizeof(struct xbd_list_entry)));
	case XBD_T_JOIN:
		return XBD_BODY_IS(h->len == sizeof(struct xbd_join));
	case XBD_T_SYNC:
		return XBD_BODY_IS(h->len == sizeof(struct xbd_sync));
	case XBD_T_ACCEPT:
	case XBD_T_CREATE:
		return XBD_BODY_IS(h->len == sizeof(struct xbd_record));
	case XBD_T_INFO_R:
		return XBD_BODY_IS(h->len == sizeof(struct xbd_info));
	default:
		return XBD_BODY_IS(h->len == 0);
	}
}

/*
 * Check a header of which at least 64 bytes are there. `body_len`: bytes of the datagram after the
 * header. Returns XBD_V_ACCEPTED or the verdict that refuses it. Key and tag are xbd_check_tag()'s.
 */
XBD_INLINE int xbd_check(const struct xbd_hdr *h, __u32 body_len, enum xbd_side side)
{
	int to_store;

	if (h->magic != XBD_MAGIC)
		return XBD_V_MAGIC;
	if (h->version != XBD_VERSION)
		return XBD_V_VERSION;
	to_store = xbd_type_to_store(h->type);
	if (to_store < 0)
		return XBD_V_TYPE;
	if (to_store != (int)side)
		return XBD_V_DIRECTION;
	if (h->flags & ~xbd_type_flags(h->type))
		return XBD_V_FLAGS;
	if (h->shard >= XBD_SHARDS_MAX)
		return XBD_V_SHARD;
	if (xbd_type_fenced(h->type) && XBD_VER_EPOCH(h->ver) == 0)
		return XBD_V_EPOCH;
	if (to_store && XBD_STATUS(h->stamp))
		return XBD_V_FLAGS;
	if (h->sender != XBD_SLOT_NONE && h->sender >= XBD_SLOTS)
		return XBD_V_SENDER;
	if (h->len != body_len)
		return XBD_V_LENGTH;
	if (h->type == XBD_T_WRITE || h->type == XBD_T_READ || h->type == XBD_T_DATA ||
	    h->type == XBD_T_REPAIR)
		return xbd_check_blocks(h);
	if (h->type == XBD_T_LIST && h->block % XBD_REGION_BLOCKS)
		return XBD_V_RANGE;
	return xbd_check_control(h);
}

/* Check key id and tag against the table of XBD_KEYS keys; bit i of `live` = key i is in use. */
XBD_INLINE int xbd_check_tag(const struct xbd_hdr *h, const struct xbd_key *keys, __u32 live)
{
	__u32 id = h->key;

	if (id >= XBD_KEYS || !(live >> id & 1))
		return XBD_V_KEY;
	return xbd_siphash56(&keys[id], (const __u64 *)h) == h->tag ? XBD_V_ACCEPTED : XBD_V_TAG;
}

/* Fence: `promised` is the shard's promised epoch, 0 if none. True = the packet is too old. */
XBD_INLINE int xbd_is_stale(const struct xbd_hdr *h, __u32 promised)
{
	return xbd_type_fenced(h->type) && XBD_VER_EPOCH(h->ver) < promised;
}

#endif
