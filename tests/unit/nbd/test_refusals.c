/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the NBD machine: every way to get them wrong, and what fails in the backend. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "peer.h"

static uint8_t buf[4 * CO_CHUNK];

struct range {
	uint64_t offset;
	uint32_t len;
};

static void ranges_beyond_the_end_are_refused(void **state)
{
	static const struct range bad[] = {{EXPORT_BYTES, 1},
					   {EXPORT_BYTES - 1, 2},
					   {UINT64_MAX, 1},
					   {UINT64_MAX - 4095, 8192}};
	struct peer p;

	peer_open_ready(&p, 0, true);
	for (size_t i = 0; i < 4; i++) {
		peer_command(&p, 0, NBD_CMD_READ, i, bad[i].offset, bad[i].len);
		expect_error_chunk(&p, i, NBD_EINVAL);
		peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, i, bad[i].offset, bad[i].len);
		expect_error_chunk(&p, i, NBD_EINVAL);
		peer_command(&p, 0, NBD_CMD_TRIM, i, bad[i].offset, bad[i].len);
		expect_simple(&p, i, NBD_EINVAL);
		peer_command(&p, 0, NBD_CMD_WRITE_ZEROES, i, bad[i].offset, bad[i].len);
		expect_simple(&p, i, NBD_ENOSPC);
		/* The payload is swallowed. */
		peer_command(&p, 0, NBD_CMD_WRITE, i, bad[i].offset, bad[i].len);
		peer_send(&p, buf, bad[i].len);
		expect_simple(&p, i, NBD_ENOSPC);
	}
	assert_int_equal(p.count.e_range, 20);
	assert_int_equal(p.count.subs, 0);
	expect_state(&p, NBD_COMMAND);
	peer_close(&p);
}

static void unknown_commands_and_flags_are_refused(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, true);
	peer_command(&p, 0, 8, 1, 0, 4096);
	expect_simple(&p, 1, NBD_EINVAL);
	peer_command(&p, 0, 256 + NBD_CMD_WRITE, 2, 0, 4096);
	expect_simple(&p, 2, NBD_EINVAL);
	peer_command(&p, 0, 65535, 3, 0, 4096);
	expect_simple(&p, 3, NBD_EINVAL);
	assert_int_equal(p.count.e_command, 3);
	peer_command(&p, 0x20, NBD_CMD_TRIM, 4, 0, 4096);
	expect_simple(&p, 4, NBD_EINVAL);
	peer_command(&p, NBD_F_REQ_ONE, NBD_CMD_READ, 5, 0, 4096);
	expect_error_chunk(&p, 5, NBD_EINVAL);
	peer_command(&p, NBD_F_NO_HOLE, NBD_CMD_WRITE, 6, 0, 4096);
	peer_send(&p, buf, 4096);
	expect_simple(&p, 6, NBD_EINVAL);
	peer_command(&p, NBD_F_DF, NBD_CMD_FLUSH, 7, 0, 0);
	expect_simple(&p, 7, NBD_EINVAL);
	assert_int_equal(p.count.e_flags, 4);
	expect_state(&p, NBD_COMMAND);
	peer_close(&p);

	peer_open_ready(&p, 0, false);
	peer_command(&p, NBD_F_DF, NBD_CMD_READ, 8, 0, 4096);
	expect_simple(&p, 8, NBD_EINVAL);
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 9, 0, 4096);
	expect_simple(&p, 9, NBD_EINVAL);
	assert_int_equal(p.count.e_context, 1);
	peer_close(&p);
}

static void oversize_reads_are_refused_oversize_writes_disconnect(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, true);
	p.conn->size = 1ull << 40;
	peer_command(&p, 0, NBD_CMD_READ, 1, 0, NBD_PAYLOAD_MAX + 1);
	expect_error_chunk(&p, 1, NBD_EOVERFLOW);
	peer_command(&p, 0, NBD_CMD_WRITE, 2, 0, NBD_PAYLOAD_MAX + 1);
	expect_state(&p, NBD_DEAD);
	assert_int_equal(p.count.e_length, 2);
	peer_close(&p);
}

static void bad_magic_disconnects(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, true);
	peer_send(&p, "\x25\x60\x95\x12zzzzzzzzzzzzzzzzzzzzzzzz", NBD_REQUEST_BYTES);
	expect_state(&p, NBD_DEAD);
	assert_int_equal(p.count.e_magic, 1);
	peer_close(&p);
}

static void a_read_only_export_refuses_writes(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, false);
	p.env.read_only = true;
	peer_command(&p, 0, NBD_CMD_WRITE, 1, 0, 8192);
	peer_send(&p, buf, 8192);
	expect_simple(&p, 1, NBD_EPERM);
	peer_command(&p, 0, NBD_CMD_TRIM, 2, 0, 8192);
	expect_simple(&p, 2, NBD_EPERM);
	peer_command(&p, 0, NBD_CMD_WRITE_ZEROES, 3, 0, 8192);
	expect_simple(&p, 3, NBD_EPERM);
	peer_command(&p, 0, NBD_CMD_FLUSH, 4, 0, 0);
	expect_simple(&p, 4, 0);
	assert_int_equal(p.count.e_read_only, 3);
	assert_int_equal(p.memory.by_kind[CO_WRITE], 0);
	peer_close(&p);
}

static void backend_errors_are_translated(void **state)
{
	static const struct {
		int res;
		uint32_t error;
	} map[] = {{-EIO, NBD_EIO},	     {-ENOSPC, NBD_ENOSPC},	    {-EINVAL, NBD_EINVAL},
		   {-EROFS, NBD_EPERM},	     {-XBD_EFENCED, NBD_ESHUTDOWN}, {-ENOMEM, NBD_ENOMEM},
		   {-XBD_ECORRUPT, NBD_EIO}, {-XBD_ECLOSED, NBD_ESHUTDOWN}, {-EBADF, NBD_EIO}};
	struct peer p;

	peer_open_ready(&p, 0, true);
	p.memory.fail_from = CO_CHUNK;
	p.memory.fail_to = CO_CHUNK + 1;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		p.memory.fail_res = map[i].res;
		peer_command(&p, 0, NBD_CMD_WRITE, i, 0, 3 * CO_CHUNK);
		peer_send(&p, buf, 3 * CO_CHUNK);
		expect_simple(&p, i, map[i].error);
		peer_command(&p, NBD_F_DF, NBD_CMD_READ, i, 0, 3 * CO_CHUNK);
		expect_error_chunk(&p, i, map[i].error);
	}
	peer_close(&p);
}

static void a_failed_part_of_a_structured_read_leaves_the_rest(void **state)
{
	struct peer p;
	unsigned data = 0, errors = 0, flags = 0;

	peer_open_ready(&p, 0, true);
	p.memory.fail_from = CO_CHUNK;
	p.memory.fail_to = CO_CHUNK + 1;
	p.memory.fail_res = -EIO;
	peer_command(&p, 0, NBD_CMD_READ, 9, 0, 4 * CO_CHUNK);
	peer_settle(&p);
	while (!(flags & NBD_CHUNK_DONE)) {
		unsigned type = nbd_get16(p.out + p.seen + 6);

		flags = nbd_get16(p.out + p.seen + 4);
		expect_chunk(&p, 9, flags, type, NULL);
		data += type == NBD_CHUNK_OFFSET_DATA;
		errors += type == NBD_CHUNK_ERROR;
	}
	assert_int_equal(data, 3);
	assert_int_equal(errors, 1);
	expect_nothing(&p);
	peer_close(&p);

	peer_open_ready(&p, 0, false);
	p.memory.fail_from = CO_CHUNK;
	p.memory.fail_to = CO_CHUNK + 1;
	p.memory.fail_res = -EIO;
	peer_command(&p, 0, NBD_CMD_READ, 9, 0, 4 * CO_CHUNK);
	expect_simple(&p, 9, NBD_EIO);
	expect_nothing(&p);
	peer_close(&p);
}

static void commands_of_no_length_succeed(void **state)
{
	struct peer p;

	peer_open_ready(&p, 0, false);
	for (unsigned type = 0; type < 7; type++) {
		if (type == NBD_CMD_DISC || type == NBD_CMD_FLUSH)
			continue;
		peer_command(&p, 0, type, type, 4096, 0);
		expect_simple(&p, type, 0);
	}
	peer_close(&p);
	peer_open_ready(&p, 0, true);
	peer_command(&p, 0, NBD_CMD_READ, 1, 0, 0);
	expect_chunk(&p, 1, NBD_CHUNK_DONE, NBD_CHUNK_NONE, NULL);
	peer_command(&p, NBD_F_DF, NBD_CMD_READ, 2, 0, 0);
	expect_chunk(&p, 2, NBD_CHUNK_DONE, NBD_CHUNK_NONE, NULL);
	peer_command(&p, 0, NBD_CMD_BLOCK_STATUS, 3, 0, 0);
	expect_error_chunk(&p, 3, NBD_EINVAL);
	peer_close(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_beyond_the_end_are_refused),
		cmocka_unit_test(unknown_commands_and_flags_are_refused),
		cmocka_unit_test(oversize_reads_are_refused_oversize_writes_disconnect),
		cmocka_unit_test(bad_magic_disconnects),
		cmocka_unit_test(a_read_only_export_refuses_writes),
		cmocka_unit_test(backend_errors_are_translated),
		cmocka_unit_test(a_failed_part_of_a_structured_read_leaves_the_rest),
		cmocka_unit_test(commands_of_no_length_succeed),
	};
	int failed = 0;

	for (peer_mode = 0; peer_mode < PEER_MODES; peer_mode++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed != 0;
}
