/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/codec.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

/* IPv6 + UDP + our header: what a datagram carries besides the fragment. */
#define OVERHEAD (40u + 8u + sizeof(struct xbd_hdr))

void codec_keyring_public(struct xbd_keyring *kr)
{
	memset(kr, 0, sizeof(*kr));
	kr->live = 1;
}

static bool carries_data(const struct xbd_send *s)
{
	return s->crc != NULL;
}

void codec_begin(struct codec_iter *it, const struct xbd_send *s, const struct xbd_keyring *kr,
		 uint32_t frag_len)
{
	XBD_ASSERT(frag_len == 1024 || frag_len == 2048 || frag_len == 4096);
	XBD_ASSERT(!carries_data(s) || s->body_len == s->count * XBD_BLOCK_SIZE);
	XBD_ASSERT(carries_data(s) || s->body_len <= XBD_CONTROL_MAX);
	*it = (struct codec_iter){.s = s, .kr = kr, .frag_len = frag_len};
	it->nfrag = carries_data(s) ? s->body_len / frag_len : 1;
}

/* Fragment k is wanted unless the receiver has all of its units. */
static bool wanted(const struct codec_iter *it, uint32_t k)
{
	const struct xbd_units *skip = it->s->skip;
	uint32_t per = it->frag_len / XBD_UNIT;

	if (!skip)
		return true;
	for (uint32_t u = k * per; u < (k + 1) * per; u++)
		if (!(skip->bits[u / 64] >> (u % 64) & 1))
			return true;
	return false;
}

static void fill_header(const struct codec_iter *it, struct xbd_hdr *h)
{
	const struct xbd_send *s = it->s;

	*h = (struct xbd_hdr){
		.magic = XBD_MAGIC,
		.version = XBD_VERSION,
		.type = s->type,
		.flags = s->flags,
		.shard = s->shard,
		.ver = s->ver,
		.block = s->block,
		.key = it->kr->use,
		.sender = s->sender,
		.count = s->count,
		.ver2 = s->ver2,
		.commit = s->commit,
		.stamp = XBD_STAMP(s->stamp, s->status),
	};
}

static void sign(const struct codec_iter *it, struct xbd_hdr *h)
{
	h->tag = xbd_siphash56(&it->kr->key[h->key], (const __u64 *)h);
}

static bool next_control(struct codec_iter *it, struct xbd_hdr *h, const uint8_t **body,
			 uint32_t *len)
{
	if (it->done)
		return false;
	it->done = true;
	fill_header(it, h);
	h->len = (uint16_t)it->s->body_len;
	h->crc = it->s->body_len ? crc32c(0, it->s->body, it->s->body_len) : 0;
	sign(it, h);
	*body = it->s->body;
	*len = it->s->body_len;
	return true;
}

bool codec_next(struct codec_iter *it, struct xbd_hdr *h, const uint8_t **body, uint32_t *len)
{
	const struct xbd_send *s = it->s;
	uint32_t k, blk;

	if (!carries_data(s))
		return next_control(it, h, body, len);
	while (it->next < it->nfrag && !wanted(it, it->next))
		it->next++;
	if (it->next == it->nfrag)
		return false;
	k = it->next++;
	blk = k * it->frag_len / XBD_BLOCK_SIZE;
	fill_header(it, h);
	h->frag = (uint8_t)k;
	h->nfrag = (uint8_t)it->nfrag;
	h->len = (uint16_t)it->frag_len;
	h->crc = s->crc[blk];
	if (s->vers)
		h->ver2 = s->vers[blk];
	sign(it, h);
	*body = (const uint8_t *)s->body + (size_t)k * it->frag_len;
	*len = it->frag_len;
	return true;
}

int codec_decode(struct xbd_msg *m, const void *pkt, size_t len, const struct xbd_keyring *kr,
		 enum xbd_side side)
{
	int v;

	if (len < sizeof(m->h) || len > sizeof(m->h) + XBD_BODY_MAX)
		return XBD_V_SHORT;
	memcpy(&m->h, pkt, sizeof(m->h));
	m->body_len = (uint32_t)(len - sizeof(m->h));
	m->body = (const uint8_t *)pkt + sizeof(m->h);
	v = xbd_check(&m->h, m->body_len, side);
	if (v != XBD_V_ACCEPTED)
		return v;
	v = xbd_check_tag(&m->h, kr->key, kr->live);
	if (v != XBD_V_ACCEPTED)
		return v;
	/* a fragment's checksum covers its whole block: its receiver checks it when all is there */
	if (m->h.nfrag == 0 && m->body_len && crc32c(0, m->body, m->body_len) != m->h.crc)
		return XBD_V_BODY_CRC;
	return XBD_V_ACCEPTED;
}

uint32_t codec_frag_len(uint32_t mtu)
{
	if (mtu >= XBD_FRAG_MAX + OVERHEAD)
		return XBD_FRAG_MAX;
	return mtu >= 2048 + OVERHEAD ? 2048 : XBD_FRAG_MIN;
}

struct xbd_units codec_units(const struct xbd_hdr *h)
{
	struct xbd_units u = {{0, 0}};
	uint32_t per = h->len / XBD_UNIT, first = h->frag * per;

	XBD_ASSERT(h->nfrag && first + per <= XBD_OP_UNITS);
	for (uint32_t i = first; i < first + per; i++)
		u.bits[i / 64] |= 1ull << (i % 64);
	return u;
}
