/* SPDX-License-Identifier: BSD-2-Clause */
/* The two sums of the protocol against known answers: SipHash-2-4 and CRC32C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "proto/siphash.h"
#include "proto/wire.h"

static uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] = rotl(v[2], 32);
	}
}

/* SipHash-2-4 of any length, written from the paper's definition. */
static uint64_t siphash(const uint64_t k[2], const uint8_t *in, size_t len)
{
	uint64_t v[4] = {k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d,
			 k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573};

	for (size_t at = 0; at <= len; at += 8) {
		size_t left = len - at < 8 ? len - at : 8;
		uint64_t m = 0;

		for (size_t i = 0; i < left; i++)
			m |= (uint64_t)in[at + i] << 8 * i;
		if (left < 8)
			m |= (uint64_t)len << 56;
		v[3] ^= m;
		rounds(v, 2);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const uint64_t paper_key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

/* Answers printed in the paper and with its reference implementation. */
static void the_reference_knows_the_published_answers(void **state)
{
	uint8_t in[64];

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	assert_true(siphash(paper_key, in, 0) == 0x726fdb47dd0e0e31);
	assert_true(siphash(paper_key, in, 8) == 0x93f5f5799a932462);
	assert_true(siphash(paper_key, in, 15) == 0xa129ca6149be45e5);
	assert_true(siphash(paper_key, in, 63) == 0x958a324ceb064572);
}

static void the_tag_is_siphash_of_56_bytes(void **state)
{
	struct xbd_key key = {{paper_key[0], paper_key[1]}};
	uint64_t words[7];
	uint64_t x = 1;

	for (unsigned i = 0; i < 56; i++)
		((uint8_t *)words)[i] = (uint8_t)i;
	assert_true(xbd_siphash56(&key, (const __u64 *)words) ==
		    siphash(paper_key, (uint8_t *)words, 56));
	for (unsigned n = 0; n < 10000; n++) {
		uint64_t *all[] = {(uint64_t *)&key.k[0], (uint64_t *)&key.k[1]};

		for (unsigned i = 0; i < 9; i++) {
			x = x * 6364136223846793005ull + 1442695040888963407ull;
			*(i < 7 ? &words[i] : all[i - 7]) = x ^ x >> 29;
		}
		assert_true(xbd_siphash56(&key, (const __u64 *)words) ==
			    siphash((const uint64_t *)key.k, (uint8_t *)words, 56));
	}
}

static void crc32c_knows_its_check_values(void **state)
{
	uint8_t b[32];

	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	/* RFC 3720, B.4 */
	memset(b, 0, sizeof(b));
	assert_int_equal(crc32c(0, b, sizeof(b)), 0x8a9136aa);
	memset(b, 0xff, sizeof(b));
	assert_int_equal(crc32c(0, b, sizeof(b)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, b, sizeof(b)), 0x46dd794e);
}

static void crc32c_continues_where_it_stopped(void **state)
{
	for (size_t cut = 0; cut <= 9; cut++)
		assert_int_equal(crc32c(crc32c(0, "123456789", cut), &"123456789"[cut], 9 - cut),
				 0xe3069283);
}

static void a_block_at_another_place_or_time_has_another_sum(void **state)
{
	uint8_t b[XBD_BLOCK_SIZE] = {1, 2, 3};
	uint32_t crc = crc32c_block(1, 2, XBD_VER(3, 4), b);
	uint8_t place[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0};
	uint64_t ver = XBD_VER(3, 4);

	assert_int_not_equal(crc, crc32c_block(2, 2, XBD_VER(3, 4), b));
	assert_int_not_equal(crc, crc32c_block(1, 3, XBD_VER(3, 4), b));
	assert_int_not_equal(crc, crc32c_block(1, 2, XBD_VER(3, 5), b));
	assert_int_not_equal(crc, crc32c_block(1, 2, XBD_VER(4, 4), b));
	/* the seed is {version, shard, block} in little endian */
	memcpy(place, &ver, 8);
	assert_int_equal(crc32c(crc32c(0, place, 16), b, sizeof(b)), crc);
}

/* Four bytes at the end of a block can make its CRC anything: make it 0. */
static void the_sum_of_a_block_is_never_0(void **state)
{
	uint8_t b[XBD_BLOCK_SIZE] = {42};
	uint32_t rows[32], mask[32], want, base, fix = 0;
	const size_t at = sizeof(b) - 4;
	unsigned found = 0;

	base = crc32c(crc32c_seed(7, 8, 9), b, sizeof(b));
	want = base; /* the change needed: CRC is linear */
	for (unsigned i = 0; i < 32; i++) {
		b[at + i / 8] ^= (uint8_t)(1u << i % 8);
		rows[i] = crc32c(crc32c_seed(7, 8, 9), b, sizeof(b)) ^ base;
		mask[i] = 1u << i;
		b[at + i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (unsigned col = 0; col < 32; col++) { /* Gauss over GF(2) */
		unsigned p = found;

		while (p < 32 && !(rows[p] >> col & 1))
			p++;
		if (p == 32)
			continue;
		uint32_t r = rows[p], m = mask[p];

		rows[p] = rows[found], mask[p] = mask[found];
		rows[found] = r, mask[found] = m;
		for (unsigned k = 0; k < 32; k++)
			if (k != found && (rows[k] >> col & 1))
				rows[k] ^= r, mask[k] ^= m;
		if (want >> col & 1)
			want ^= r, fix ^= m;
		found++;
	}
	assert_int_equal(found, 32);
	for (unsigned i = 0; i < 4; i++)
		b[at + i] ^= (uint8_t)(fix >> 8 * i);
	assert_int_equal(crc32c(crc32c_seed(7, 8, 9), b, sizeof(b)), 0);
	assert_int_equal(crc32c_block(7, 8, 9, b), 1);
}

static void every_error_has_a_text(void **state)
{
#define X(name, value, text)                                                                       \
	assert_string_equal(xbd_strerror(-XBD_E##name), text);                                     \
	assert_string_equal(xbd_strerror(XBD_E##name), text);
	XBD_ERRORS(X)
#undef X
	assert_string_equal(xbd_strerror(-EIO), strerror(EIO));
	assert_non_null(xbd_strerror(-99999));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_knows_the_published_answers),
		cmocka_unit_test(the_tag_is_siphash_of_56_bytes),
		cmocka_unit_test(crc32c_knows_its_check_values),
		cmocka_unit_test(crc32c_continues_where_it_stopped),
		cmocka_unit_test(a_block_at_another_place_or_time_has_another_sum),
		cmocka_unit_test(the_sum_of_a_block_is_never_0),
		cmocka_unit_test(every_error_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
