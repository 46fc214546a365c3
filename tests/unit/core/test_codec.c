/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages become packets and packets the same messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "samples.h"

static const uint32_t frag_lens[] = {1024, 2048, 4096};
static struct packet pkts[XBD_OP_UNITS];

static void check_header(const struct xbd_msg *m, const struct xbd_send *s)
{
	assert_int_equal(m->h.magic, XBD_MAGIC);
	assert_int_equal(m->h.version, XBD_VERSION);
	assert_int_equal(m->h.type, s->type);
	assert_int_equal(m->h.flags, s->flags);
	assert_int_equal(m->h.sender, s->sender);
	assert_int_equal(m->h.shard, s->shard);
	assert_int_equal(m->h.block, s->block);
	assert_int_equal(m->h.count, s->count);
	assert_int_equal(m->h.ver, s->ver);
	assert_int_equal(m->h.commit, s->commit);
	assert_int_equal(m->h.stamp & XBD_STAMP_MASK, s->stamp);
	assert_int_equal(XBD_STATUS(m->h.stamp), s->status);
}

static bool has_data(uint8_t type)
{
	return type == XBD_T_WRITE || type == XBD_T_DATA || type == XBD_T_REPAIR;
}

static void every_control_message_arrives_as_it_was_sent(void **state)
{
	for (uint8_t type = 1; type < XBD_T_END; type++) {
		struct xbd_send s = sample(type, 1);
		struct xbd_msg m;

		if (has_data(type))
			continue;
		assert_int_equal(sample_packets(&s, 1024, pkts, XBD_OP_UNITS), 1);
		assert_int_equal(sample_decode(&m, &pkts[0], sample_side(type)), XBD_V_ACCEPTED);
		check_header(&m, &s);
		assert_int_equal(m.h.ver2, s.ver2);
		assert_int_equal(m.body_len, s.body_len);
		if (s.body_len)
			assert_memory_equal(m.body, s.body, s.body_len);
	}
}

static void check_operation(const struct xbd_send *s, uint32_t frag_len)
{
	static uint8_t got[XBD_OP_BLOCKS * XBD_BLOCK_SIZE];
	struct xbd_units all = {{0, 0}};
	unsigned n = sample_packets(s, frag_len, pkts, XBD_OP_UNITS);

	assert_int_equal(n, s->body_len / frag_len);
	memset(got, 0, sizeof(got));
	for (unsigned k = 0; k < n; k++) {
		struct xbd_units u;
		struct xbd_msg m;
		uint32_t blk = k * frag_len / XBD_BLOCK_SIZE;

		assert_int_equal(sample_decode(&m, &pkts[k], sample_side(s->type)), XBD_V_ACCEPTED);
		check_header(&m, s);
		assert_int_equal(m.h.frag, k);
		assert_int_equal(m.h.nfrag, n);
		assert_int_equal(m.h.crc, s->crc[blk]);
		assert_int_equal(m.h.ver2, s->vers ? s->vers[blk] : s->ver2);
		memcpy(got + (size_t)m.h.frag * m.h.len, m.body, m.body_len);
		u = codec_units(&m.h);
		assert_int_equal(all.bits[0] & u.bits[0], 0);
		assert_int_equal(all.bits[1] & u.bits[1], 0);
		all.bits[0] |= u.bits[0];
		all.bits[1] |= u.bits[1];
	}
	assert_memory_equal(got, s->body, s->body_len);
	assert_int_equal(__builtin_popcountll(all.bits[0]) + __builtin_popcountll(all.bits[1]),
			 s->body_len / XBD_UNIT);
}

static void data_of_every_length_arrives_in_fragments_of_every_size(void **state)
{
	static const uint16_t lens[] = {1, 2, 7, 15, 16, 17, 31, 32};

	for (unsigned f = 0; f < 3; f++) {
		for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			struct xbd_send w = sample(XBD_T_WRITE, lens[i]);

			check_operation(&w, frag_lens[f]);
			w = sample(XBD_T_DATA, lens[i]);
			check_operation(&w, frag_lens[f]);
		}
		struct xbd_send r = sample(XBD_T_REPAIR, 1);

		check_operation(&r, frag_lens[f]);
	}
}

static void flags_status_and_zero_operations_have_no_body(void **state)
{
	struct xbd_send s = sample(XBD_T_WRITE, 1);
	struct xbd_msg m;

	s.body = NULL;
	s.crc = NULL;
	s.body_len = 0;
	s.flags = XBD_F_TRIM | XBD_F_ZERO | XBD_F_RETRY;
	s.count = XBD_RANGE_BLOCKS;
	pkts[0] = sample_packet(&s, 1024);
	assert_int_equal(sample_decode(&m, &pkts[0], XBD_SIDE_STORE), XBD_V_ACCEPTED);
	check_header(&m, &s);
	assert_int_equal(m.body_len, 0);

	s.type = XBD_T_DATA;
	s.flags = 0;
	s.status = XBD_S_NOTSYNCED;
	s.count = 1;
	pkts[0] = sample_packet(&s, 1024);
	assert_int_equal(sample_decode(&m, &pkts[0], XBD_SIDE_CLIENT), XBD_V_ACCEPTED);
	check_header(&m, &s);
}

static bool unit_set(const struct xbd_units *u, uint32_t i)
{
	return u->bits[i / 64] >> (i % 64) & 1;
}

/* Fragments whose units are all there are left out, the others are sent whole. */
static void check_skip(struct xbd_units skip, uint32_t frag_len)
{
	struct xbd_send s = sample(XBD_T_WRITE, 32);
	uint32_t per = frag_len / XBD_UNIT;
	unsigned n, at = 0;

	s.skip = &skip;
	n = sample_packets(&s, frag_len, pkts, XBD_OP_UNITS);
	for (uint32_t k = 0; k < XBD_OP_UNITS / per; k++) {
		const struct xbd_hdr *h = (const struct xbd_hdr *)pkts[at].bytes;
		bool there = true;

		for (uint32_t u = k * per; u < (k + 1) * per; u++)
			there = there && unit_set(&skip, u);
		if (there)
			continue;
		assert_true(at < n);
		assert_int_equal(h->frag, k);
		assert_int_equal(h->nfrag, XBD_OP_UNITS / per);
		at++;
	}
	assert_int_equal(at, n);
}

static void only_missing_fragments_are_sent(void **state)
{
	static const struct xbd_units skips[] = {
		{{0, 0}},
		{{UINT64_MAX, UINT64_MAX}},
		{{UINT64_MAX << 4, UINT64_MAX}},
		{{1, 0}},
		{{0xf, 0}},
		{{0x7fffffffffffffff, 0x8000000000000000}},
		{{0x5555555555555555, 0xaaaaaaaaaaaaaaaa}},
		{{0x123456789abcdef0, 0x0ff0f00ff33ccffe}},
	};

	for (unsigned f = 0; f < 3; f++)
		for (unsigned i = 0; i < sizeof(skips) / sizeof(skips[0]); i++)
			check_skip(skips[i], frag_lens[f]);
}

static void the_fragment_fits_the_path(void **state)
{
	assert_int_equal(codec_frag_len(1280), 1024);
	assert_int_equal(codec_frag_len(1500), 1024);
	assert_int_equal(codec_frag_len(2159), 1024);
	assert_int_equal(codec_frag_len(2160), 2048);
	assert_int_equal(codec_frag_len(4207), 2048);
	assert_int_equal(codec_frag_len(4208), 4096);
	assert_int_equal(codec_frag_len(9000), 4096);
}

static void a_key_is_accepted_only_while_it_is_live(void **state)
{
	struct xbd_send s = sample(XBD_T_INFO, 1);
	struct xbd_keyring ours, theirs;
	struct codec_iter it;
	struct xbd_hdr h;
	struct xbd_msg m;
	const uint8_t *body;
	uint32_t len;

	codec_keyring_public(&ours);
	ours.key[2] = (struct xbd_key){{0x0123456789abcdef, 0xfedcba9876543210}};
	ours.live |= 1u << 2;
	ours.use = 2;
	theirs = ours;
	codec_begin(&it, &s, &ours, 1024);
	assert_true(codec_next(&it, &h, &body, &len));
	assert_false(codec_next(&it, &h, &body, &len));
	assert_int_equal(h.key, 2);
	assert_int_equal(codec_decode(&m, &h, sizeof(h), &theirs, XBD_SIDE_STORE), XBD_V_ACCEPTED);
	theirs.key[2].k[1] ^= 1;
	assert_int_equal(codec_decode(&m, &h, sizeof(h), &theirs, XBD_SIDE_STORE), XBD_V_TAG);
	theirs.live = 1;
	assert_int_equal(codec_decode(&m, &h, sizeof(h), &theirs, XBD_SIDE_STORE), XBD_V_KEY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_control_message_arrives_as_it_was_sent),
		cmocka_unit_test(data_of_every_length_arrives_in_fragments_of_every_size),
		cmocka_unit_test(flags_status_and_zero_operations_have_no_body),
		cmocka_unit_test(only_missing_fragments_are_sent),
		cmocka_unit_test(the_fragment_fits_the_path),
		cmocka_unit_test(a_key_is_accepted_only_while_it_is_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
