/* SPDX-License-Identifier: BSD-2-Clause */
/* The NBD machine and its pool when buffers are short, and when connections end in the middle. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer.h"

#define LITTLE (2u << 20) /* of memory: 10 large buffers */

static uint8_t buf[NBD_PAYLOAD_MAX];

static void the_pool_is_shared_fairly(void **state)
{
	struct nbd_pool pool;
	struct nbd_share a = {0}, b = {0}, c = {0};
	struct nbd_item *items[64], *it;
	unsigned n = 0;

	assert_int_equal(nbd_pool_init(&pool, 100), -EINVAL);
	assert_int_equal(nbd_pool_init(&pool, LITTLE), 0);
	assert_int_equal(pool.count[NBD_CLASS_LARGE], 10);
	while ((it = nbd_pool_get(&pool, &a, NBD_LARGE)))
		items[n++] = it;
	assert_int_equal(n, 5); /* half */
	while ((it = nbd_pool_get(&pool, &b, NBD_SMALL + 1)))
		items[n++] = it;
	assert_true(n > 6 && n < 10);
	items[n++] = nbd_pool_get(&pool, &c, NBD_LARGE); /* a newcomer gets one */
	assert_non_null(items[n - 1]);
	assert_ptr_equal(nbd_pool_waiter(&pool), &a);
	nbd_pool_unwait(&pool, &b);
	assert_null(nbd_pool_waiter(&pool));
	it = nbd_pool_get(&pool, &a, NBD_SMALL); /* the classes are apart */
	assert_non_null(it);
	assert_int_equal((uintptr_t)it->req.buf % 4096, 0);
	co_req_put(&it->req);
	assert_ptr_equal(nbd_pool_get(&pool, &a, 0), it); /* the last one freed comes first */
	co_req_put(&it->req);
	while (n)
		co_req_put(&items[--n]->req);
	assert_int_equal(pool.nfree[NBD_CLASS_LARGE], 10);
	nbd_pool_free(&pool);
}

static void buffers_do_not_overlap(void **state)
{
	struct nbd_pool pool;
	struct nbd_share s[8] = {{{0}}};
	struct nbd_item *items[1024];
	unsigned n = 0;

	assert_int_equal(nbd_pool_init(&pool, LITTLE), 0);
	for (unsigned i = 0; i < 8; i++) {
		struct nbd_item *it;

		while ((it = nbd_pool_get(&pool, &s[i], NBD_LARGE)) ||
		       (it = nbd_pool_get(&pool, &s[i], 0))) {
			memset(it->req.buf, (int)n, it->class ? NBD_LARGE : NBD_SMALL);
			items[n++] = it;
		}
	}
	while (n--) {
		size_t bytes = items[n]->class ? NBD_LARGE : NBD_SMALL;

		assert_int_equal(items[n]->req.buf[0], (uint8_t)n);
		assert_int_equal(items[n]->req.buf[bytes - 1], (uint8_t)n);
		co_req_put(&items[n]->req);
	}
	nbd_pool_free(&pool);
}

/* 4 MiB through a pool of 1.3 MiB. */
static void large_commands_stream_through_few_buffers(void **state)
{
	struct peer p;
	uint32_t len = 4u << 20;

	for (unsigned structured = 0; structured < 2; structured++) {
		peer_open_ready(&p, LITTLE, structured);
		p.memory.slow_release = true;
		for (uint32_t i = 0; i < len; i++)
			buf[i] = (uint8_t)memory_random(&p.memory);
		peer_command(&p, 0, NBD_CMD_WRITE, 1, 1000, len);
		for (uint32_t sent = 0; sent < len;) {
			sent += (uint32_t)peer_send(&p, buf + sent, len - sent);
			memory_release(&p.memory);
		}
		expect_simple(&p, 1, 0);
		memory_release(&p.memory);
		assert_memory_equal(p.memory.data + 1000, buf, len);
		peer_command(&p, structured ? NBD_F_DF : 0, NBD_CMD_READ, 2, 1000, len);
		if (structured)
			assert_memory_equal(expect_chunk(&p, 2, 0, NBD_CHUNK_OFFSET_DATA, NULL) + 8,
					    buf, len);
		else
			expect_simple(&p, 2, 0);
		if (structured)
			expect_chunk(&p, 2, NBD_CHUNK_DONE, NBD_CHUNK_NONE, NULL);
		else
			assert_memory_equal(expect(&p, len), buf, len);
		expect_nothing(&p);
		assert_true(p.count.stalls > 0);
		peer_close(&p);
	}
}

static void largest_write_and_read_work(void **state)
{
	struct peer p;

	if (peer_mode != PEER_WHOLE)
		return;
	peer_open_ready(&p, LITTLE, false);
	memory_free(&p.memory);
	assert_int_equal(memory_init(&p.memory, 64 << 20, 4096), 0);
	p.conn->size = 64 << 20;
	memset(buf, 0x5a, sizeof(buf));
	peer_command(&p, 0, NBD_CMD_WRITE, 1, 12345, NBD_PAYLOAD_MAX);
	assert_int_equal(peer_send(&p, buf, NBD_PAYLOAD_MAX), NBD_PAYLOAD_MAX);
	expect_simple(&p, 1, 0);
	peer_command(&p, 0, NBD_CMD_READ, 2, 12345, NBD_PAYLOAD_MAX);
	expect_simple(&p, 2, 0);
	assert_memory_equal(expect(&p, NBD_PAYLOAD_MAX), buf, NBD_PAYLOAD_MAX);
	peer_close(&p);
}

static void a_failure_in_a_streamed_read_is_not_taken_for_data(void **state)
{
	struct peer p;
	uint32_t len = 4u << 20;
	const uint8_t *b;

	for (unsigned structured = 0; structured < 2; structured++) {
		peer_open_ready(&p, LITTLE, structured);
		p.memory.reorder = false;
		p.memory.fail_from = 3u << 20;
		p.memory.fail_to = p.memory.fail_from + 1;
		p.memory.fail_res = -EIO;
		memset(p.memory.data, 1, EXPORT_BYTES);
		peer_command(&p, structured ? NBD_F_DF : 0, NBD_CMD_READ, 1, 0, len);
		if (structured) {
			b = expect_chunk(&p, 1, 0, NBD_CHUNK_OFFSET_DATA, NULL) + 8;
			assert_int_equal(b[0], 1);
			assert_int_equal(b[3u << 20], 0);
			expect_error_chunk(&p, 1, NBD_EIO);
			expect_state(&p, NBD_COMMAND);
		} else {
			expect_state(&p, NBD_DEAD);
			assert_true(p.nout - p.seen < len);
			assert_int_equal(p.count.e_read_late, 1);
		}
		peer_close(&p);
	}
}

/* Large reads in one piece and other commands at the same time: no reply cuts into another. */
static void streamed_replies_are_not_torn(void **state)
{
	uint32_t len = 3u << 20;
	struct peer p;

	for (unsigned structured = 0; structured < 2; structured++) {
		unsigned large = 0, small = 0;

		peer_open_ready(&p, LITTLE, structured);
		for (uint32_t i = 0; i < EXPORT_BYTES; i++)
			p.memory.data[i] = (uint8_t)(i >> 9);
		for (unsigned i = 0; i < 6; i++) {
			peer_command(&p, structured ? NBD_F_DF : 0, NBD_CMD_READ, 100, 4096, len);
			peer_command(&p, 0, NBD_CMD_FLUSH, 1, 0, 0);
			peer_command(&p, 0, NBD_CMD_FLUSH, 1, 0, 0);
		}
		peer_settle(&p);
		while (p.seen < p.nout) {
			const uint8_t *at = p.out + p.seen;
			bool chunk = nbd_get32(at) == NBD_CHUNK_MAGIC;

			if (chunk && nbd_get16(at + 6) == NBD_CHUNK_NONE) {
				expect_chunk(&p, 100, NBD_CHUNK_DONE, NBD_CHUNK_NONE, NULL);
			} else if (chunk) {
				at = expect_chunk(&p, 100, nbd_get16(at + 4), NBD_CHUNK_OFFSET_DATA,
						  NULL);
				assert_memory_equal(at + 8, p.memory.data + 4096, len);
				large++;
			} else if (nbd_get64(at + 8) == 100) {
				expect_simple(&p, 100, 0);
				assert_memory_equal(expect(&p, len), p.memory.data + 4096, len);
				large++;
			} else {
				expect_simple(&p, 1, 0);
				small++;
			}
		}
		assert_int_equal(large, 6);
		assert_int_equal(small, 12);
		peer_close(&p);
	}
}

static void nothing_is_received_while_the_backend_holds_everything(void **state)
{
	struct peer p;
	struct iovec iov[NBD_RECV_IOV];
	unsigned sent = 0;

	peer_open_ready(&p, LITTLE, false);
	p.hold = true;
	while (peer_command(&p, 0, NBD_CMD_WRITE, sent, 0, CO_CHUNK) == NBD_REQUEST_BYTES &&
	       peer_send(&p, buf, CO_CHUNK) == CO_CHUNK)
		sent++;
	assert_true(sent >= 5 && sent < 10);
	assert_int_equal(p.memory.n, 5);
	assert_int_equal(nbd_conn_recv_iov(p.conn, iov), 0);
	assert_true(p.share.waiting);
	p.hold = false;
	peer_settle(&p);
	assert_int_not_equal(nbd_conn_recv_iov(p.conn, iov), 0);
	peer_close(&p);
}

static void commands_in_progress_are_bounded(void **state)
{
	struct peer p;
	unsigned sent = 0;

	peer_open_ready(&p, 0, false);
	p.hold = true;
	while (peer_command(&p, 0, NBD_CMD_FLUSH, sent, 0, 0) == NBD_REQUEST_BYTES)
		sent++;
	assert_int_equal(p.memory.n, NBD_REQUESTS);
	p.hold = false;
	peer_settle(&p);
	assert_true(p.nout - p.seen >= NBD_REQUESTS * NBD_SIMPLE_BYTES);
	peer_close(&p);
}

static void a_client_that_does_not_read_is_not_served_forever(void **state)
{
	struct peer p;
	unsigned sent = 0;

	peer_open_ready(&p, LITTLE, true);
	p.deaf = true;
	while (peer_command(&p, 0, NBD_CMD_READ, sent, 0, CO_CHUNK) == NBD_REQUEST_BYTES)
		assert_true(++sent < 100000);
	assert_int_equal(p.share.held[NBD_CLASS_LARGE], 5);
	p.deaf = false;
	peer_settle(&p);
	assert_int_equal(p.share.held[NBD_CLASS_LARGE], 0);
	peer_close(&p);
}

/* A stream of all commands, cut at every byte of headers and some of payloads. */
static size_t stream(uint8_t *b)
{
	static const struct {
		uint16_t flags, type;
		uint64_t offset;
		uint32_t len;
	} all[] = {{0, NBD_CMD_READ, 1, 4096},
		   {0, NBD_CMD_WRITE, 4000, 200},
		   {0, NBD_CMD_BLOCK_STATUS, 0, 99999},
		   {0, NBD_CMD_FLUSH, 0, 0},
		   {0, NBD_CMD_TRIM, 0, 99999},
		   {0, NBD_CMD_WRITE, EXPORT_BYTES, 100},
		   {0, NBD_CMD_READ, 0, 9 * CO_CHUNK},
		   {NBD_F_DF, NBD_CMD_READ, 0, 9 * CO_CHUNK},
		   {0, NBD_CMD_WRITE_ZEROES, 1, 999999},
		   {0, NBD_CMD_CACHE, 0, 4096},
		   {0, NBD_CMD_BLOCK_STATUS, 0, EXPORT_BYTES},
		   {0, NBD_CMD_DISC, 0, 0}};
	uint8_t *at = b;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		at = nbd_put32(at, NBD_REQUEST_MAGIC);
		at = nbd_put16(at, all[i].flags);
		at = nbd_put16(at, all[i].type);
		at = nbd_put64(at, i);
		at = nbd_put64(at, all[i].offset);
		at = nbd_put32(at, all[i].len);
		if (all[i].type == NBD_CMD_WRITE)
			at += all[i].len;
	}
	return (size_t)(at - b);
}

enum ending { ENDING_EOF, ENDING_KILL, ENDING_CLEAR, ENDINGS };

static void end_at(size_t cut, unsigned ending, bool hold, bool deaf, size_t mem)
{
	struct peer p;

	peer_open_ready(&p, mem, true);
	p.hold = hold;
	p.deaf = deaf;
	peer_send(&p, buf, cut);
	if (ending == ENDING_EOF)
		nbd_conn_drain(p.conn);
	else if (ending == ENDING_KILL)
		nbd_conn_kill(p.conn);
	else
		nbd_conn_clear(p.conn);
	assert_true(ending == ENDING_EOF || nbd_conn_finished(p.conn));
	p.hold = p.deaf = false;
	peer_settle(&p);
	assert_true(nbd_conn_finished(p.conn));
	peer_close(&p);
}

static void a_connection_may_end_anywhere(void **state)
{
	size_t n = stream(buf), step = peer_mode == PEER_WHOLE ? 1 : 11;

	for (size_t cut = 0; cut <= n; cut += step) {
		end_at(cut, cut % ENDINGS, cut / ENDINGS % 2, cut / ENDINGS / 2 % 2,
		       cut % 5 ? 0 : LITTLE);
	}
	for (unsigned i = 0; i < ENDINGS * 8; i++)
		end_at(n, i % ENDINGS, i & 8, i & 16, LITTLE);
}

static void commands_not_issued_are_dropped_at_the_end(void **state)
{
	struct peer p;
	uint8_t b[NBD_REQUEST_BYTES];
	size_t before;

	peer_open_ready(&p, LITTLE, false);
	p.hold = true;
	memset(buf, 7, CO_CHUNK);
	for (unsigned i = 0; i < 8; i++) {
		peer_command(&p, 0, NBD_CMD_WRITE, i, i * CO_CHUNK, CO_CHUNK);
		peer_send(&p, buf, CO_CHUNK);
	}
	assert_true(p.conn->stalled);
	before = p.memory.n;
	nbd_conn_drain(p.conn);
	assert_int_equal(p.count.dropped, 1);
	p.hold = false;
	peer_settle(&p);
	assert_int_equal(p.memory.by_kind[CO_WRITE], before);
	assert_int_equal(p.nout - p.seen, before * NBD_SIMPLE_BYTES);
	assert_int_equal(p.memory.data[(before + 1) * CO_CHUNK], 0);
	assert_true(nbd_conn_finished(p.conn));
	memset(b, 0, sizeof(b));
	assert_int_equal(peer_send(&p, b, sizeof(b)), 0);
	peer_close(&p);
}

static void the_struct_can_be_used_again(void **state)
{
	struct peer p;
	size_t n = stream(buf);

	peer_open_ready(&p, LITTLE, true);
	for (unsigned i = 0; i < 20; i++) {
		peer_send(&p, buf, n - i * 7);
		peer_settle(&p);
		nbd_conn_clear(p.conn);
		while (memory_run(&p.memory, 1))
			;
		assert_true(nbd_conn_quiet(p.conn));
		nbd_conn_init(p.conn, &p.env, &p.share);
		peer_settle(&p);
		p.seen = p.nout;
		peer_flags(&p, NBD_FIXED_NEWSTYLE);
		peer_option(&p, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
		peer_go(&p, NBD_OPT_GO, "", 0, NULL);
		expect_state(&p, NBD_COMMAND);
		assert_true(p.conn->structured && !p.conn->context);
	}
	peer_close(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pool_is_shared_fairly),
		cmocka_unit_test(buffers_do_not_overlap),
		cmocka_unit_test(large_commands_stream_through_few_buffers),
		cmocka_unit_test(largest_write_and_read_work),
		cmocka_unit_test(a_failure_in_a_streamed_read_is_not_taken_for_data),
		cmocka_unit_test(streamed_replies_are_not_torn),
		cmocka_unit_test(nothing_is_received_while_the_backend_holds_everything),
		cmocka_unit_test(commands_in_progress_are_bounded),
		cmocka_unit_test(a_client_that_does_not_read_is_not_served_forever),
		cmocka_unit_test(a_connection_may_end_anywhere),
		cmocka_unit_test(commands_not_issued_are_dropped_at_the_end),
		cmocka_unit_test(the_struct_can_be_used_again),
	};
	int failed = 0;

	for (peer_mode = 0; peer_mode < PEER_MODES; peer_mode++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed != 0;
}
