/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the NBD machine, used as they are meant. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer.h"

static uint8_t buf[NBD_PAYLOAD_MAX];

static void fill(struct peer *p, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(memory_random(&p->memory) >> 32);
}

static void fill_export(struct peer *p)
{
	fill(p, p->memory.data, EXPORT_BYTES);
}

static const struct range {
	uint64_t offset;
	uint32_t len;
} ranges[] = {
	{0, 4096},
	{0, 1},
	{4095, 2},
	{123, 4096},
	{8192, 8192},
	{4097, 8192},
	{CO_CHUNK - 1, 2},
	{CO_CHUNK - 4096, 8192},
	{100, CO_CHUNK},
	{3 * CO_CHUNK - 77, 2 * CO_CHUNK + 100},
	{EXPORT_BYTES - 1, 1},
	{EXPORT_BYTES - 512, 512},
};
#define RANGES (sizeof(ranges) / sizeof(ranges[0]))

static void writes_arrive_where_they_should(void **state)
{
	struct peer p;
	uint8_t *shadow = malloc(EXPORT_BYTES);

	peer_open_ready(&p, 0, false);
	fill_export(&p);
	memcpy(shadow, p.memory.data, EXPORT_BYTES);
	for (size_t i = 0; i < RANGES; i++) {
		fill(&p, buf, ranges[i].len);
		memcpy(shadow + ranges[i].offset, buf, ranges[i].len);
		peer_command(&p, i % 2 ? NBD_F_FUA : 0, NBD_CMD_WRITE, 1000 + i, ranges[i].offset,
			     ranges[i].len);
		peer_send(&p, buf, ranges[i].len);
		expect_simple(&p, 1000 + i, 0);
		assert_memory_equal(p.memory.data, shadow, EXPORT_BYTES);
	}
	expect_nothing(&p);
	assert_int_equal(p.count.writes, RANGES);
	assert_int_equal(p.count.fua, RANGES / 2);
	assert_int_equal(p.firsts, 1);
	peer_close(&p);
	free(shadow);
}

static void simple_reads_return_the_data(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, false);
	fill_export(&p);
	for (size_t i = 0; i < RANGES; i++) {
		peer_command(&p, 0, NBD_CMD_READ, ~i, ranges[i].offset, ranges[i].len);
		expect_simple(&p, ~i, 0);
		assert_memory_equal(expect(&p, ranges[i].len), p.memory.data + ranges[i].offset,
				    ranges[i].len);
	}
	expect_nothing(&p);
	peer_close(&p);
}

/* Reads a structured reply to the end; checks that the chunks cover the range exactly once. */
static unsigned expect_structured(struct peer *p, uint64_t handle, uint64_t offset, uint32_t len)
{
	uint64_t covered = 0;
	unsigned chunks = 0, flags = 0;

	peer_settle(p);
	while (!(flags & NBD_CHUNK_DONE)) {
		unsigned type = nbd_get16(p->out + p->seen + 6);
		const uint8_t *b;
		uint32_t n;

		flags = nbd_get16(p->out + p->seen + 4);
		b = expect_chunk(p, handle, flags, type, &n);
		chunks++;
		if (type == NBD_CHUNK_NONE)
			break;
		assert_int_equal(type, NBD_CHUNK_OFFSET_DATA);
		assert_true(nbd_get64(b) >= offset && nbd_get64(b) + n - 8 <= offset + len);
		assert_memory_equal(b + 8, p->memory.data + nbd_get64(b), n - 8);
		covered += n - 8;
	}
	assert_int_equal(covered, len);
	return chunks;
}

static void structured_reads_return_the_data(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, true);
	fill_export(&p);
	for (size_t i = 0; i < RANGES; i++) {
		peer_command(&p, 0, NBD_CMD_READ, i, ranges[i].offset, ranges[i].len);
		expect_structured(&p, i, ranges[i].offset, ranges[i].len);
		peer_command(&p, NBD_F_DF, NBD_CMD_READ, i, ranges[i].offset, ranges[i].len);
		assert_int_equal(expect_structured(&p, i, ranges[i].offset, ranges[i].len), 1);
	}
	expect_nothing(&p);
	peer_close(&p);
}

static void many_commands_in_one_stream_are_all_answered(void **state)
{
	struct peer p;
	uint64_t sum = 0;

	peer_open_ready(&p, 0, false);
	for (uint64_t i = 0; i < 1000; i++) {
		memset(buf, (int)i, 4096);
		peer_command(&p, 0, NBD_CMD_WRITE, i, i % 2000 * 4096, 4096);
		peer_send(&p, buf, 4096);
	}
	peer_settle(&p);
	for (uint64_t i = 0; i < 1000; i++) {
		const uint8_t *b = expect(&p, 16);

		assert_int_equal(nbd_get32(b + 4), 0);
		sum += nbd_get64(b + 8);
		assert_int_equal(p.memory.data[i * 4096 + 4095], (uint8_t)i);
	}
	assert_int_equal(sum, 999 * 500);
	expect_nothing(&p);
	peer_close(&p);
}

static void flush_goes_to_the_backend(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, true);
	peer_command(&p, 0, NBD_CMD_FLUSH, 7, 0, 0);
	expect_simple(&p, 7, 0);
	assert_int_equal(p.memory.by_kind[CO_FLUSH], 1);
	peer_close(&p);
}

static void trim_takes_whole_blocks_only(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, false);
	memset(p.memory.data, 1, EXPORT_BYTES);
	peer_command(&p, 0, NBD_CMD_TRIM, 1, 100, 3 * 4096);
	expect_simple(&p, 1, 0);
	assert_int_equal(p.memory.data[4095], 1);
	assert_int_equal(p.memory.data[4096], 0);
	assert_int_equal(p.memory.data[3 * 4096 - 1], 0);
	assert_int_equal(p.memory.data[3 * 4096], 1);
	peer_command(&p, 0, NBD_CMD_TRIM, 2, 4097, 4096);
	peer_command(&p, 0, NBD_CMD_TRIM, 3, 1, 1);
	expect_simple(&p, 2, 0);
	expect_simple(&p, 3, 0);
	assert_int_equal(p.memory.by_kind[CO_TRIM], 1);
	assert_int_equal(p.memory.by_kind[CO_WRITE], 0);
	peer_close(&p);
}

static void zeroes_reach_every_byte_and_no_other(void **state)
{
	struct peer p;
	uint8_t *shadow = malloc(EXPORT_BYTES);

	peer_open_ready(&p, 0, false);
	memset(p.memory.data, 0xaa, EXPORT_BYTES);
	memset(shadow, 0xaa, EXPORT_BYTES);
	for (size_t i = 0; i < RANGES; i++) {
		memset(shadow + ranges[i].offset, 0, ranges[i].len);
		peer_command(&p, i % 2 ? NBD_F_FAST_ZERO : NBD_F_FUA, NBD_CMD_WRITE_ZEROES, i,
			     ranges[i].offset, ranges[i].len);
		expect_simple(&p, i, 0);
		assert_memory_equal(p.memory.data, shadow, EXPORT_BYTES);
		memset(shadow, 0xaa, EXPORT_BYTES);
		memset(p.memory.data, 0xaa, EXPORT_BYTES);
	}
	p.memory.state[5] = 0;
	peer_command(&p, NBD_F_NO_HOLE, NBD_CMD_WRITE_ZEROES, 1, 0, 4096 * 20);
	expect_simple(&p, 1, 0);
	assert_int_equal(p.memory.state[5], CO_MAP_ZERO);
	peer_close(&p);
	free(shadow);
}

/* A volume so large that a command is cut at CO_RANGE; memory is touched by nobody. */
static void huge_trim_and_zero_are_cut_into_ranges(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, false);
	memory_free(&p.memory);
	assert_int_equal(memory_init(&p.memory, 5ull << 30, 4096), 0);
	p.memory.fail_to = UINT64_MAX;
	p.memory.fail_res = 0;
	p.conn->size = 5ull << 30;
	peer_command(&p, 0, NBD_CMD_TRIM, 1, 4096, UINT32_MAX);
	expect_simple(&p, 1, 0);
	assert_int_equal(p.memory.by_kind[CO_TRIM], 32);
	peer_command(&p, 0, NBD_CMD_WRITE_ZEROES, 2, 1, UINT32_MAX);
	expect_simple(&p, 2, 0);
	assert_int_equal(p.memory.by_kind[CO_ZERO], 32);
	assert_int_equal(p.memory.by_kind[CO_WRITE], 1);
	peer_close(&p);
}

static void cache_does_nothing_well(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, false);
	peer_command(&p, 0, NBD_CMD_CACHE, 5, 4096, 1 << 20);
	expect_simple(&p, 5, 0);
	peer_command(&p, 0, NBD_CMD_CACHE, 6, EXPORT_BYTES, 1);
	expect_simple(&p, 6, NBD_EINVAL);
	peer_close(&p);
}

static void disconnect_lets_what_runs_finish(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, true);
	p.hold = true;
	peer_command(&p, 0, NBD_CMD_WRITE, 1, 0, 4096);
	peer_send(&p, buf, 4096);
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 2, 0, EXPORT_BYTES);
	peer_command(&p, 0, NBD_CMD_DISC, 0, 0, 0);
	expect_nothing(&p);
	expect_state(&p, NBD_CLOSING);
	assert_false(nbd_conn_finished(p.conn));
	p.hold = false;
	peer_settle(&p);
	assert_true(nbd_conn_finished(p.conn));
	assert_true(p.nout - p.seen > NBD_SIMPLE_BYTES + NBD_CHUNK_BYTES);
	peer_close(&p);
}

static const uint8_t *expect_status(struct peer *p, uint64_t handle, unsigned *n)
{
	uint32_t len;
	const uint8_t *b = expect_chunk(p, handle, NBD_CHUNK_DONE, NBD_CHUNK_BLOCK_STATUS, &len);

	assert_int_equal(nbd_get32(b), 1);
	*n = (len - 4) / 8;
	return b + 4;
}

static void block_status_merges_extents(void **state)
{
	struct peer p;
	const uint8_t *b;
	unsigned n;

	peer_open_ready(&p, 0, true);
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 1, 0, EXPORT_BYTES);
	b = expect_status(&p, 1, &n);
	assert_int_equal(n, 1);
	assert_int_equal(nbd_get32(b), EXPORT_BYTES);
	assert_int_equal(nbd_get32(b + 4), NBD_STATE_HOLE | NBD_STATE_ZERO);

	/* Data across a chunk's border, then zeroes that take space. */
	memset(p.memory.state + 30, 0, 10);
	memset(p.memory.state + 40, CO_MAP_ZERO, 3);
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 2, 100, 64 * 4096);
	b = expect_status(&p, 2, &n);
	assert_int_equal(n, 4);
	assert_int_equal(nbd_get32(b), 30 * 4096 - 100);
	assert_int_equal(nbd_get32(b + 8), 10 * 4096);
	assert_int_equal(nbd_get32(b + 12), 0);
	assert_int_equal(nbd_get32(b + 16), 3 * 4096);
	assert_int_equal(nbd_get32(b + 20), NBD_STATE_ZERO);
	assert_int_equal(nbd_get32(b + 24), 21 * 4096 + 100);

	peer_command(&p, NBD_F_REQ_ONE, NBD_CMD_BLOCK_STATUS, 3, 31 * 4096 + 1, 7);
	b = expect_status(&p, 3, &n);
	assert_int_equal(n, 1);
	assert_int_equal(nbd_get32(b), 7);
	peer_command(&p, NBD_F_REQ_ONE, NBD_CMD_BLOCK_STATUS, 4, 0, EXPORT_BYTES);
	b = expect_status(&p, 4, &n);
	assert_int_equal(n, 1);
	assert_int_equal(nbd_get32(b), 30 * 4096);
	peer_close(&p);
}

static void block_status_is_bounded(void **state)
{
	struct peer p;
	const uint8_t *b;
	unsigned n;
	uint64_t total = 0;

	peer_open_ready(&p, 0, true);
	for (unsigned i = 0; i < EXPORT_BYTES / 4096; i += 2)
		p.memory.state[i] = 0;
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 1, 0, EXPORT_BYTES);
	/* Another one waits behind it. */
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 2, 4096, 4096);
	b = expect_status(&p, 1, &n);
	assert_int_equal(n, NBD_EXTENTS_MAX);
	for (unsigned i = 0; i < n; i++)
		total += nbd_get32(b + 8 * i);
	assert_int_equal(total, NBD_EXTENTS_MAX * 4096);
	expect_status(&p, 2, &n);
	assert_int_equal(n, 1);

	memory_free(&p.memory);
	assert_int_equal(memory_init(&p.memory, 1ull << 32, 4096), 0);
	p.conn->size = 1ull << 32;
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 3, 0, UINT32_MAX);
	b = expect_status(&p, 3, &n);
	assert_int_equal(n, 1);
	assert_int_equal(nbd_get32(b), NBD_MAP_CHUNKS * CO_CHUNK);
	peer_close(&p);
}

static void block_status_tells_what_lies_before_a_failure(void **state)
{
	struct peer p;
	const uint8_t *b;
	unsigned n;

	peer_open_ready(&p, 0, true);
	p.memory.fail_from = 3 * CO_CHUNK;
	p.memory.fail_to = 4 * CO_CHUNK;
	p.memory.fail_res = -EIO;
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 1, 0, EXPORT_BYTES);
	b = expect_status(&p, 1, &n);
	assert_int_equal(nbd_get32(b), 3 * CO_CHUNK);
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 2, 3 * CO_CHUNK, 4096);
	expect_error_chunk(&p, 2, NBD_EIO);
	/* A backend that cannot tell: all is data. */
	p.memory.fail_res = -EOPNOTSUPP;
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 3, 3 * CO_CHUNK, 4096);
	b = expect_status(&p, 3, &n);
	assert_int_equal(nbd_get32(b), 4096);
	assert_int_equal(nbd_get32(b + 4), 0);
	peer_close(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_arrive_where_they_should),
		cmocka_unit_test(simple_reads_return_the_data),
		cmocka_unit_test(structured_reads_return_the_data),
		cmocka_unit_test(many_commands_in_one_stream_are_all_answered),
		cmocka_unit_test(flush_goes_to_the_backend),
		cmocka_unit_test(trim_takes_whole_blocks_only),
		cmocka_unit_test(zeroes_reach_every_byte_and_no_other),
		cmocka_unit_test(huge_trim_and_zero_are_cut_into_ranges),
		cmocka_unit_test(cache_does_nothing_well),
		cmocka_unit_test(disconnect_lets_what_runs_finish),
		cmocka_unit_test(block_status_merges_extents),
		cmocka_unit_test(block_status_is_bounded),
		cmocka_unit_test(block_status_tells_what_lies_before_a_failure),
	};
	int failed = 0;

	for (peer_mode = 0; peer_mode < PEER_MODES; peer_mode++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed != 0;
}
