/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that no correct peer sends are refused, each for its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "samples.h"

/* A sound packet of `type`, one field changed, signed again. */
struct refusal {
	const char *name;
	int verdict;
	uint8_t type;
	void (*change)(struct xbd_hdr *h);
};

#define CHANGE(name, code)                                                                         \
	static void name(struct xbd_hdr *h)                                                        \
	{                                                                                          \
		code;                                                                              \
	}
CHANGE(bad_magic, h->magic = 0xbc)
CHANGE(bad_version, h->version = 2)
CHANGE(type_zero, h->type = 0)
CHANGE(type_end, h->type = XBD_T_END)
CHANGE(to_the_other_side, h->type = XBD_T_ACK)
CHANGE(to_the_other_side2, h->type = XBD_T_WRITE)
CHANGE(flag_of_others, h->flags = XBD_F_VOTER)
CHANGE(flag_any, h->flags = XBD_F_RETRY)
CHANGE(status_in_request, h->stamp |= 1ull << XBD_STAMP_BITS)
CHANGE(shard_big, h->shard = XBD_SHARDS_MAX)
CHANGE(epoch_zero, h->ver = XBD_VER(0, 5))
CHANGE(len_small, h->len -= 1)
CHANGE(len_zero, h->len = 0)
CHANGE(frag_end, h->frag = h->nfrag)
CHANGE(nfrag_less, h->nfrag -= 1)
CHANGE(nfrag_more, h->nfrag += 1)
CHANGE(nfrag_in_control, h->nfrag = 1)
CHANGE(frag_in_control, h->frag = 1)
CHANGE(frag_in_read, h->frag = 1)
CHANGE(count_zero, h->count = 0)
CHANGE(count_big, h->count = XBD_OP_BLOCKS + 1)
CHANGE(count_two, h->count = 2)
CHANGE(count_regions, h->count = XBD_REGIONS_MAX + 1)
CHANGE(count_not_len, h->count = 4)
CHANGE(beyond_shard, h->block = XBD_SHARD_BLOCKS_MAX)
CHANGE(across_the_end, h->block = XBD_SHARD_BLOCKS_MAX - 31)
CHANGE(not_a_region, h->block = 65)
CHANGE(sender_six, h->sender = XBD_SLOTS)
CHANGE(sender_254, h->sender = 254)
CHANGE(key_four, h->key = XBD_KEYS)
CHANGE(key_dead, h->key = 1)
CHANGE(crc_wrong, h->crc ^= 1)
CHANGE(zero_with_body, h->flags = XBD_F_ZERO)

static const struct refusal refusals[] = {
	{"magic", XBD_V_MAGIC, XBD_T_WRITE, bad_magic},
	{"version", XBD_V_VERSION, XBD_T_WRITE, bad_version},
	{"type 0", XBD_V_TYPE, XBD_T_WRITE, type_zero},
	{"type past the last", XBD_V_TYPE, XBD_T_WRITE, type_end},
	{"answer to a store", XBD_V_DIRECTION, XBD_T_WRITE, to_the_other_side},
	{"request to an owner", XBD_V_DIRECTION, XBD_T_DATA, to_the_other_side2},
	{"VOTER on WRITE", XBD_V_FLAGS, XBD_T_WRITE, flag_of_others},
	{"RETRY on SYNC", XBD_V_FLAGS, XBD_T_SYNC, flag_any},
	{"status in a request", XBD_V_FLAGS, XBD_T_WRITE, status_in_request},
	{"shard", XBD_V_SHARD, XBD_T_WRITE, shard_big},
	{"WRITE of epoch 0", XBD_V_EPOCH, XBD_T_WRITE, epoch_zero},
	{"SYNC of epoch 0", XBD_V_EPOCH, XBD_T_SYNC, epoch_zero},
	{"length shorter than packet", XBD_V_LENGTH, XBD_T_WRITE, len_small},
	{"length 0 of a packet with body", XBD_V_LENGTH, XBD_T_JOIN, len_zero},
	{"READ with a fragment", XBD_V_LENGTH, XBD_T_READ, frag_in_read},
	{"ZERO with a body", XBD_V_LENGTH, XBD_T_WRITE, zero_with_body},
	{"fragment past the last", XBD_V_FRAGMENT, XBD_T_WRITE, frag_end},
	{"fewer fragments than blocks", XBD_V_FRAGMENT, XBD_T_WRITE, nfrag_less},
	{"more fragments than blocks", XBD_V_FRAGMENT, XBD_T_DATA, nfrag_more},
	{"control message of a fragment", XBD_V_FRAGMENT, XBD_T_JOIN, nfrag_in_control},
	{"control message with fragment index", XBD_V_FRAGMENT, XBD_T_LEASE, frag_in_control},
	{"count 0", XBD_V_COUNT, XBD_T_WRITE, count_zero},
	{"count above an operation", XBD_V_COUNT, XBD_T_WRITE, count_big},
	{"READ of too many", XBD_V_COUNT, XBD_T_READ, count_big},
	{"REPAIR of two", XBD_V_COUNT, XBD_T_REPAIR, count_two},
	{"too many regions", XBD_V_COUNT, XBD_T_REGIONS_R, count_regions},
	{"count is not the length", XBD_V_LENGTH, XBD_T_REGIONS_R, count_not_len},
	{"beyond a shard", XBD_V_RANGE, XBD_T_WRITE, beyond_shard},
	{"across the end of a shard", XBD_V_RANGE, XBD_T_READ, across_the_end},
	{"LIST inside a region", XBD_V_RANGE, XBD_T_LIST, not_a_region},
	{"sender 6", XBD_V_SENDER, XBD_T_ACK, sender_six},
	{"sender 254", XBD_V_SENDER, XBD_T_WRITE, sender_254},
	{"key 4", XBD_V_KEY, XBD_T_WRITE, key_four},
	{"key not in use", XBD_V_KEY, XBD_T_WRITE, key_dead},
	{"body checksum", XBD_V_BODY_CRC, XBD_T_PROMISED, crc_wrong},
};

static uint8_t read_count(uint8_t type)
{
	return type == XBD_T_READ ? 32 : 2;
}

static void every_refusal_has_its_verdict(void **state)
{
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		struct xbd_send s = sample(r->type, read_count(r->type));
		struct packet p = sample_packet(&s, 1024);
		struct xbd_msg m;
		int v = sample_decode(&m, &p, sample_side(r->type));

		assert_int_equal(v, XBD_V_ACCEPTED);
		r->change((struct xbd_hdr *)p.bytes);
		sample_sign(&p);
		v = sample_decode(&m, &p, sample_side(r->type));
		if (v != r->verdict)
			print_error("%s: verdict %d, not %d\n", r->name, v, r->verdict);
		assert_int_equal(v, r->verdict);
	}
}

static void the_table_of_refusals_is_complete(void **state)
{
	static const int possible[] = {
		XBD_V_MAGIC, XBD_V_VERSION, XBD_V_TYPE,	  XBD_V_DIRECTION, XBD_V_FLAGS,
		XBD_V_SHARD, XBD_V_EPOCH,   XBD_V_LENGTH, XBD_V_FRAGMENT,  XBD_V_COUNT,
		XBD_V_RANGE, XBD_V_SENDER,  XBD_V_KEY,	  XBD_V_BODY_CRC,
	};

	for (unsigned k = 0; k < sizeof(possible) / sizeof(possible[0]); k++) {
		bool found = false;

		for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
			found = found || refusals[i].verdict == possible[k];
		assert_true(found);
	}
}

static void a_shard_ends_where_it_ends(void **state)
{
	struct xbd_send s = sample(XBD_T_WRITE, 32);
	struct packet p;
	struct xbd_msg m;

	s.block = XBD_SHARD_BLOCKS_MAX - 32; /* the last that fits */
	p = sample_packet(&s, 4096);
	assert_int_equal(sample_decode(&m, &p, XBD_SIDE_STORE), XBD_V_ACCEPTED);
	s = (struct xbd_send){.type = XBD_T_WRITE,
			      .flags = XBD_F_ZERO,
			      .sender = XBD_SLOT_NONE,
			      .count = XBD_RANGE_BLOCKS,
			      .ver = XBD_VER(1, 1)};
	s.block = XBD_SHARD_BLOCKS_MAX - XBD_RANGE_BLOCKS;
	p = sample_packet(&s, 4096);
	assert_int_equal(sample_decode(&m, &p, XBD_SIDE_STORE), XBD_V_ACCEPTED);
	s.block++;
	p = sample_packet(&s, 4096);
	assert_int_equal(sample_decode(&m, &p, XBD_SIDE_STORE), XBD_V_RANGE);
	s.block = 0;
	s.count = XBD_RANGE_BLOCKS + 1;
	p = sample_packet(&s, 4096);
	assert_int_equal(sample_decode(&m, &p, XBD_SIDE_STORE), XBD_V_COUNT);
}

static void every_truncation_is_refused(void **state)
{
	for (uint8_t type = 1; type < XBD_T_END; type++) {
		struct xbd_send s = sample(type, 2);
		struct packet p = sample_packet(&s, 1024);
		struct xbd_msg m;
		uint32_t whole = p.len;

		for (p.len = 0; p.len < whole; p.len++) {
			int v = sample_decode(&m, &p, sample_side(type));

			assert_int_equal(v, p.len < 64 ? XBD_V_SHORT : XBD_V_LENGTH);
		}
		assert_int_equal(sample_decode(&m, &p, sample_side(type)), XBD_V_ACCEPTED);
	}
}

static void a_datagram_longer_than_any_packet_is_refused(void **state)
{
	static uint8_t big[sizeof(struct xbd_hdr) + XBD_BODY_MAX + 1];
	struct xbd_send s = sample(XBD_T_WRITE, 1);
	struct packet p = sample_packet(&s, 4096);
	struct xbd_keyring kr;
	struct xbd_msg m;

	codec_keyring_public(&kr);
	memcpy(big, p.bytes, p.len);
	assert_int_equal(codec_decode(&m, big, p.len, &kr, XBD_SIDE_STORE), XBD_V_ACCEPTED);
	assert_int_equal(codec_decode(&m, big, p.len + 1, &kr, XBD_SIDE_STORE), XBD_V_SHORT);
}

static void every_flipped_bit_of_a_header_is_noticed(void **state)
{
	for (uint8_t type = 1; type < XBD_T_END; type++) {
		struct xbd_send s = sample(type, 1);
		struct packet p = sample_packet(&s, 1024);
		struct xbd_msg m;

		for (uint32_t bit = 0; bit < 64 * 8; bit++) {
			p.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_not_equal(sample_decode(&m, &p, sample_side(type)),
					     XBD_V_ACCEPTED);
			p.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_int_equal(sample_decode(&m, &p, sample_side(type)), XBD_V_ACCEPTED);
	}
}

static void every_flipped_bit_of_a_control_body_is_noticed(void **state)
{
	for (uint8_t type = 1; type < XBD_T_END; type++) {
		struct xbd_send s = sample(type, 1);
		struct packet p = sample_packet(&s, 1024);
		struct xbd_msg m;

		if (s.crc)
			continue;
		for (uint32_t bit = 64 * 8; bit < p.len * 8; bit++) {
			p.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(sample_decode(&m, &p, sample_side(type)), XBD_V_BODY_CRC);
			p.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* The codec leaves fragments to whoever has the whole block: there every flip shows. */
static void every_flipped_bit_of_a_block_is_noticed(void **state)
{
	struct xbd_send s = sample(XBD_T_WRITE, 1);
	uint8_t block[XBD_BLOCK_SIZE];

	memcpy(block, s.body, sizeof(block));
	for (uint32_t bit = 0; bit < XBD_BLOCK_SIZE * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(crc32c_block(s.shard, s.block, s.ver, block), s.crc[0]);
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(crc32c_block(s.shard, s.block, s.ver, block), s.crc[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal_has_its_verdict),
		cmocka_unit_test(the_table_of_refusals_is_complete),
		cmocka_unit_test(a_shard_ends_where_it_ends),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(a_datagram_longer_than_any_packet_is_refused),
		cmocka_unit_test(every_flipped_bit_of_a_header_is_noticed),
		cmocka_unit_test(every_flipped_bit_of_a_control_body_is_noticed),
		cmocka_unit_test(every_flipped_bit_of_a_block_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
