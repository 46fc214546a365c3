/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the check of received packets: byte 0 of the input picks the receiving side and whether
 * tag and body checksum are made right first (else hardly anything gets past them), the rest is the
 * datagram. What is accepted has to keep the rules its receivers rely on, and has to be what the
 * encoder makes of the same message.
 */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "core/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum how { TO_CLIENT = 0x01, SIGN = 0x02, SUM = 0x04, FIT = 0x08 };

static struct xbd_keyring kr;

/* Make the packet's sums right, as a peer that is wrong in other ways would. */
static void make_right(uint8_t *pkt, size_t len, uint8_t how)
{
	struct xbd_hdr h;

	if (len < sizeof(h))
		return;
	memcpy(&h, pkt, sizeof(h));
	if (how & FIT) {
		h.magic = XBD_MAGIC;
		h.version = XBD_VERSION;
		h.key = 0;
		h.len = (uint16_t)(len - sizeof(h));
	}
	if (how & SUM)
		h.crc = crc32c(0, pkt + sizeof(h), len - sizeof(h));
	if (how & SIGN)
		h.tag = xbd_siphash56(&kr.key[0], (const __u64 *)&h);
	memcpy(pkt, &h, sizeof(h));
}

static bool is_data(uint8_t type)
{
	return type == XBD_T_WRITE || type == XBD_T_DATA || type == XBD_T_REPAIR;
}

static void check_rules(const struct xbd_msg *m)
{
	const struct xbd_hdr *h = &m->h;

	XBD_ASSERT(h->len == m->body_len && m->body_len <= XBD_BODY_MAX);
	XBD_ASSERT(h->shard < XBD_SHARDS_MAX);
	XBD_ASSERT(xbd_type_known(h->type));
	XBD_ASSERT(h->sender < XBD_SLOTS || h->sender == XBD_SLOT_NONE);
	XBD_ASSERT(!xbd_type_fenced(h->type) || XBD_VER_EPOCH(h->ver) > 0);
	if (!is_data(h->type) && h->type != XBD_T_READ) {
		XBD_ASSERT(h->nfrag == 0 && m->body_len <= XBD_CONTROL_MAX);
		return;
	}
	XBD_ASSERT(h->count >= 1 && h->block + h->count <= XBD_SHARD_BLOCKS_MAX);
	if (h->nfrag) {
		struct xbd_units u = codec_units(h);
		uint32_t n = (uint32_t)(__builtin_popcountll(u.bits[0]) +
					__builtin_popcountll(u.bits[1]));

		XBD_ASSERT(h->count <= XBD_OP_BLOCKS);
		XBD_ASSERT((h->frag + 1u) * h->len <= h->count * XBD_BLOCK_SIZE);
		XBD_ASSERT(n * XBD_UNIT == h->len);
	} else {
		XBD_ASSERT(m->body_len == 0);
	}
}

/* The message as its sender had it; for a fragment with the rest of the operation zero. */
static struct xbd_send sent(const struct xbd_msg *m)
{
	static uint8_t body[XBD_OP_BLOCKS * XBD_BLOCK_SIZE];
	static uint32_t crc[XBD_OP_BLOCKS];
	static uint64_t vers[XBD_OP_BLOCKS];
	static struct xbd_units skip;
	const struct xbd_hdr *h = &m->h;
	struct xbd_send s = {
		.type = h->type,
		.flags = h->flags,
		.sender = h->sender,
		.status = XBD_STATUS(h->stamp),
		.count = h->count,
		.shard = h->shard,
		.block = h->block,
		.ver = h->ver,
		.ver2 = h->ver2,
		.commit = h->commit,
		.stamp = h->stamp & XBD_STAMP_MASK,
		.body = m->body_len ? m->body : NULL,
		.body_len = m->body_len,
	};

	if (h->nfrag) {
		struct xbd_units u = codec_units(h);

		memcpy(body + (size_t)h->frag * h->len, m->body, m->body_len);
		for (unsigned i = 0; i < XBD_OP_BLOCKS; i++) {
			crc[i] = h->crc;
			vers[i] = h->ver2;
		}
		skip = (struct xbd_units){{~u.bits[0], ~u.bits[1]}};
		s.body = body;
		s.body_len = h->count * XBD_BLOCK_SIZE;
		s.crc = crc;
		s.vers = h->type == XBD_T_DATA ? vers : NULL;
		s.skip = &skip;
	}
	return s;
}

static void check_same_again(const struct xbd_msg *m)
{
	struct xbd_send s = sent(m);
	struct codec_iter it;
	struct xbd_hdr h, want = m->h;
	const uint8_t *body;
	uint32_t len;

	codec_begin(&it, &s, &kr, m->h.nfrag ? m->h.len : 1024);
	XBD_ASSERT(codec_next(&it, &h, &body, &len));
	if (!m->body_len) { /* there the sum has no meaning and is not looked at */
		want.crc = 0;
		want.tag = xbd_siphash56(&kr.key[0], (const __u64 *)&want);
	}
	XBD_ASSERT(memcmp(&h, &want, sizeof(h)) == 0);
	XBD_ASSERT(len == m->body_len && (!len || memcmp(body, m->body, len) == 0));
	XBD_ASSERT(!codec_next(&it, &h, &body, &len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t pkt[sizeof(struct xbd_hdr) + XBD_BODY_MAX + 8];
	enum xbd_side side;
	struct xbd_msg m;
	int v;

	if (size < 1 || size - 1 > sizeof(pkt))
		return 0;
	codec_keyring_public(&kr);
	side = data[0] & TO_CLIENT ? XBD_SIDE_CLIENT : XBD_SIDE_STORE;
	if ((data[0] & (SIGN | SUM | FIT)) == 0) {
		v = codec_decode(&m, data + 1, size - 1, &kr, side); /* reads past the end show */
	} else {
		memcpy(pkt, data + 1, size - 1);
		make_right(pkt, size - 1, data[0]);
		v = codec_decode(&m, pkt, size - 1, &kr, side);
	}
	XBD_ASSERT(v >= 0 && v < XBD_V_END);
	if (v != XBD_V_ACCEPTED)
		return 0;
	check_rules(&m);
	check_same_again(&m);
	XBD_ASSERT(xbd_check(&m.h, m.body_len, !side) == XBD_V_DIRECTION);
	return 0;
}
