/* SPDX-License-Identifier: BSD-2-Clause */
#include "samples.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

static uint8_t data[XBD_OP_BLOCKS * XBD_BLOCK_SIZE];
static uint8_t body[XBD_CONTROL_MAX];
static uint32_t crc[XBD_OP_BLOCKS];
static uint64_t vers[XBD_OP_BLOCKS];

const uint8_t *sample_data(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
	memcpy(body, data, sizeof(body));
	return data;
}

enum xbd_side sample_side(uint8_t type)
{
	return xbd_type_to_store(type) ? XBD_SIDE_STORE : XBD_SIDE_CLIENT;
}

static void give_data(struct xbd_send *s, uint16_t blocks)
{
	uint64_t content = s->type == XBD_T_REPAIR ? s->commit : s->ver;

	s->count = s->type == XBD_T_REPAIR ? 1 : blocks;
	for (uint32_t i = 0; i < s->count; i++) {
		vers[i] = s->type == XBD_T_DATA ? XBD_VER(SAMPLE_EPOCH - 1, 10 + i) : content;
		crc[i] = crc32c_block(s->shard, s->block + i, vers[i], data + i * XBD_BLOCK_SIZE);
	}
	s->body = data;
	s->body_len = s->count * XBD_BLOCK_SIZE;
	s->crc = crc;
	s->vers = s->type == XBD_T_DATA ? vers : NULL;
}

static uint32_t control_len(uint8_t type)
{
	switch (type) {
	case XBD_T_ACK:
		return 3 * sizeof(struct xbd_ack);
	case XBD_T_PROMISE:
		return sizeof(struct xbd_promise);
	case XBD_T_PROMISED:
		return sizeof(struct xbd_state);
	case XBD_T_REGIONS_R:
		return 5 * 4;
	case XBD_T_LIST_R:
		return XBD_REGION_BLOCKS * sizeof(struct xbd_list_entry);
	case XBD_T_JOIN:
		return sizeof(struct xbd_join);
	case XBD_T_SYNC:
		return sizeof(struct xbd_sync);
	case XBD_T_ACCEPT:
	case XBD_T_CREATE:
		return sizeof(struct xbd_record);
	case XBD_T_INFO_R:
		return sizeof(struct xbd_info);
	default:
		return 0;
	}
}

struct xbd_send sample(uint8_t type, uint16_t blocks)
{
	struct xbd_send s = {
		.type = type,
		.sender = xbd_type_to_store(type) ? XBD_SLOT_NONE : 2,
		.status = 0,
		.count = type == XBD_T_READ	   ? 32
			 : type == XBD_T_REGIONS_R ? 5
						   : 0,
		.shard = SAMPLE_SHARD,
		.block = SAMPLE_BLOCK,
		.ver = XBD_VER(SAMPLE_EPOCH, 1234567),
		.ver2 = XBD_VER(SAMPLE_EPOCH - 1, 8),
		.commit = XBD_VER(SAMPLE_EPOCH - 2, 9),
		.stamp = 0x00123456789abcdeull,
	};

	sample_data();
	if (type == XBD_T_WRITE || type == XBD_T_DATA || type == XBD_T_REPAIR) {
		give_data(&s, blocks);
	} else if (control_len(type)) {
		s.body = body;
		s.body_len = control_len(type);
	}
	return s;
}

unsigned sample_packets(const struct xbd_send *s, uint32_t frag_len, struct packet *p, unsigned max)
{
	struct xbd_keyring kr;
	struct codec_iter it;
	struct xbd_hdr h;
	const uint8_t *from;
	uint32_t len;
	unsigned n = 0;

	codec_keyring_public(&kr);
	codec_begin(&it, s, &kr, frag_len);
	while (codec_next(&it, &h, &from, &len)) {
		XBD_ASSERT(n < max);
		memcpy(p[n].bytes, &h, sizeof(h));
		if (len)
			memcpy(p[n].bytes + sizeof(h), from, len);
		p[n++].len = (uint32_t)sizeof(h) + len;
	}
	return n;
}

struct packet sample_packet(const struct xbd_send *s, uint32_t frag_len)
{
	static struct packet p[XBD_OP_UNITS];
	unsigned n = sample_packets(s, frag_len, p, XBD_OP_UNITS);

	XBD_ASSERT(n > 0);
	return p[0];
}

void sample_sign(struct packet *p)
{
	struct xbd_hdr *h = (struct xbd_hdr *)p->bytes;
	struct xbd_keyring kr;

	codec_keyring_public(&kr);
	h->tag = xbd_siphash56(&kr.key[h->key % XBD_KEYS], (const __u64 *)h);
}

int sample_decode(struct xbd_msg *m, const struct packet *p, enum xbd_side side)
{
	struct xbd_keyring kr;

	codec_keyring_public(&kr);
	return codec_decode(m, p->bytes, p->len, &kr, side);
}
