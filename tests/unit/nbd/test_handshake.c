/* SPDX-License-Identifier: BSD-2-Clause */
/* The handshake of the NBD machine, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer.h"

#define BOTH (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)
#define FLAGS_RW                                                                                   \
	(NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_SEND_TRIM | NBD_SEND_WRITE_ZEROES |   \
	 NBD_CAN_MULTI_CONN | NBD_SEND_CACHE | NBD_SEND_FAST_ZERO)

static void start(struct peer *p, uint32_t flags)
{
	peer_open(p, 0);
	expect_greeting(p);
	peer_flags(p, flags);
}

static void export_name_replies_without_zeroes_if_asked(void **state)
{
	struct peer p;
	const uint8_t *b;

	start(&p, BOTH);
	peer_option(&p, NBD_OPT_EXPORT_NAME, EXPORT_NAME, 3);
	b = expect(&p, 10);
	assert_int_equal(nbd_get64(b), EXPORT_BYTES);
	assert_int_equal(nbd_get16(b + 8), FLAGS_RW);
	expect_nothing(&p);
	expect_state(&p, NBD_COMMAND);
	assert_true(nbd_conn_transmission(p.conn));
	peer_close(&p);
}

static void export_name_replies_with_zeroes_to_old_clients(void **state)
{
	static const uint8_t zeroes[124];
	struct peer p;

	start(&p, 0);
	peer_option(&p, NBD_OPT_EXPORT_NAME, "", 0);
	expect(&p, 10);
	assert_memory_equal(expect(&p, 124), zeroes, 124);
	expect_nothing(&p);
	expect_state(&p, NBD_COMMAND);
	peer_close(&p);
}

static void unknown_export_name_ends_the_connection(void **state)
{
	struct peer p;

	start(&p, BOTH);
	peer_option(&p, NBD_OPT_EXPORT_NAME, "other", 5);
	expect_state(&p, NBD_DEAD);
	assert_true(nbd_conn_finished(p.conn));
	assert_int_equal(p.count.e_export_name, 1);
	peer_close(&p);
}

static void unknown_client_flags_end_the_connection(void **state)
{
	struct peer p;

	start(&p, 4);
	expect_state(&p, NBD_DEAD);
	assert_int_equal(p.count.e_handshake_flags, 1);
	peer_close(&p);
}

static void only_export_name_is_for_clients_without_fixed_newstyle(void **state)
{
	struct peer p;

	start(&p, NBD_NO_ZEROES);
	peer_option(&p, NBD_OPT_LIST, NULL, 0);
	expect_state(&p, NBD_DEAD);
	assert_int_equal(p.count.e_option_fixed, 1);
	peer_close(&p);
}

static void bad_option_magic_ends_the_connection(void **state)
{
	struct peer p;

	start(&p, BOTH);
	peer_send(&p, "IHAVEOPS\0\0\0\3\0\0\0\0", 16);
	expect_state(&p, NBD_DEAD);
	assert_int_equal(p.count.e_option_magic, 1);
	peer_close(&p);
}

static void abort_is_acknowledged_and_closes(void **state)
{
	struct peer p;

	start(&p, BOTH);
	peer_option(&p, NBD_OPT_ABORT, NULL, 0);
	expect_rep(&p, NBD_OPT_ABORT, NBD_REP_ACK, NULL);
	expect_state(&p, NBD_CLOSING);
	assert_true(nbd_conn_finished(p.conn));
	peer_close(&p);
}

static void list_names_the_export(void **state)
{
	struct peer p;
	uint32_t len;
	const uint8_t *b;

	start(&p, BOTH);
	peer_option(&p, NBD_OPT_LIST, NULL, 0);
	b = expect_rep(&p, NBD_OPT_LIST, NBD_REP_SERVER, &len);
	assert_int_equal(len, 7);
	assert_memory_equal(b, "\0\0\0\3vol", 7);
	expect_rep(&p, NBD_OPT_LIST, NBD_REP_ACK, NULL);
	peer_option(&p, NBD_OPT_LIST, "x", 1);
	expect_rep(&p, NBD_OPT_LIST, NBD_REP_ERR_INVALID, NULL);
	expect_nothing(&p);
	peer_close(&p);
}

static void unsupported_options_are_refused_and_the_next_one_works(void **state)
{
	struct peer p;

	start(&p, BOTH);
	peer_option(&p, NBD_OPT_STARTTLS, NULL, 0);
	expect_rep(&p, NBD_OPT_STARTTLS, NBD_REP_ERR_UNSUP, NULL);
	peer_option(&p, 11, "junk", 4);
	expect_rep(&p, 11, NBD_REP_ERR_UNSUP, NULL);
	peer_option(&p, 0xffffffff, NULL, 0);
	expect_rep(&p, 0xffffffff, NBD_REP_ERR_UNSUP, NULL);
	peer_go(&p, NBD_OPT_GO, "", 0, NULL);
	expect_rep(&p, NBD_OPT_GO, NBD_REP_INFO, NULL);
	expect_rep(&p, NBD_OPT_GO, NBD_REP_ACK, NULL);
	assert_int_equal(p.count.e_option_unknown, 3);
	peer_close(&p);
}

static void expect_infos(struct peer *p, uint32_t opt, uint16_t flags)
{
	const uint8_t *b;
	uint32_t len;

	b = expect_rep(p, opt, NBD_REP_INFO, &len);
	assert_int_equal(len, 12);
	assert_int_equal(nbd_get16(b), NBD_INFO_EXPORT);
	assert_int_equal(nbd_get64(b + 2), EXPORT_BYTES);
	assert_int_equal(nbd_get16(b + 10), flags);
	b = expect_rep(p, opt, NBD_REP_INFO, &len);
	assert_int_equal(len, 5);
	assert_memory_equal(b, "\0\1vol", 5);
	b = expect_rep(p, opt, NBD_REP_INFO, &len);
	assert_int_equal(len, 10);
	assert_memory_equal(b, "\0\2a volume", 10);
	b = expect_rep(p, opt, NBD_REP_INFO, &len);
	assert_int_equal(len, 14);
	assert_memory_equal(b, "\0\3\0\0\0\1\0\0\x10\0\2\0\0\0", 14);
	expect_rep(p, opt, NBD_REP_ACK, NULL);
}

static void info_and_go_tell_what_is_asked_for(void **state)
{
	static const uint16_t infos[] = {3, 2, 1, 77};
	struct peer p;

	start(&p, BOTH);
	peer_go(&p, NBD_OPT_INFO, EXPORT_NAME, 4, infos);
	expect_infos(&p, NBD_OPT_INFO, FLAGS_RW);
	expect_state(&p, NBD_OPTION);
	peer_option(&p, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	expect_rep(&p, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL);
	peer_go(&p, NBD_OPT_GO, "", 4, infos);
	expect_infos(&p, NBD_OPT_GO, FLAGS_RW | NBD_SEND_DF);
	expect_state(&p, NBD_COMMAND);
	peer_close(&p);
}

static void a_read_only_export_says_so(void **state)
{
	struct peer p;
	const uint8_t *b;

	peer_open(&p, 0);
	p.env.read_only = true;
	expect_greeting(&p);
	peer_flags(&p, BOTH);
	peer_go(&p, NBD_OPT_GO, EXPORT_NAME, 0, NULL);
	b = expect_rep(&p, NBD_OPT_GO, NBD_REP_INFO, NULL);
	assert_int_equal(nbd_get16(b + 10), NBD_HAS_FLAGS | NBD_READ_ONLY | NBD_SEND_FLUSH |
						    NBD_SEND_FUA | NBD_CAN_MULTI_CONN |
						    NBD_SEND_CACHE);
	peer_close(&p);
}

static void malformed_info_is_refused(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {
		{"", 0},
		{"\0\0\0\3vol", 7},		 /* no number of requests */
		{"\0\0\0\4vol\0\0", 9},		 /* name longer than the option */
		{"\xff\xff\xff\xff\0\0", 6},	 /* much longer */
		{"\0\0\0\0\0\1", 6},		 /* one request, none there */
		{"\0\0\0\0\0\0\0", 7},		 /* a byte too many */
		{"\0\0\0\3vol\xff\xff\0\1", 11}, /* 65535 requests */
	};
	struct peer p;

	start(&p, BOTH);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		peer_option(&p, NBD_OPT_INFO, bad[i].data, bad[i].len);
		expect_rep(&p, NBD_OPT_INFO, NBD_REP_ERR_INVALID, NULL);
		peer_option(&p, NBD_OPT_GO, bad[i].data, bad[i].len);
		expect_rep(&p, NBD_OPT_GO, NBD_REP_ERR_INVALID, NULL);
	}
	peer_option(&p, NBD_OPT_STRUCTURED_REPLY, "x", 1);
	expect_rep(&p, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID, NULL);
	peer_go(&p, NBD_OPT_GO, "nothing", 0, NULL);
	expect_rep(&p, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, NULL);
	expect_state(&p, NBD_OPTION);
	peer_close(&p);
}

static void long_options_are_skipped_longer_ones_end_the_connection(void **state)
{
	static uint8_t data[NBD_OPT_DATA_MAX + 1];
	struct peer p;
	uint8_t head[NBD_OPT_BYTES], *at;

	start(&p, BOTH);
	peer_option(&p, NBD_OPT_GO, data, sizeof(data));
	expect_rep(&p, NBD_OPT_GO, NBD_REP_ERR_TOO_BIG, NULL);
	peer_option(&p, NBD_OPT_LIST, data, sizeof(data) - 1);
	expect_rep(&p, NBD_OPT_LIST, NBD_REP_ERR_INVALID, NULL);
	expect_state(&p, NBD_OPTION);
	at = nbd_put64(head, NBD_OPT_MAGIC);
	at = nbd_put32(at, NBD_OPT_GO);
	nbd_put32(at, NBD_OPT_SKIP_MAX + 1);
	peer_send(&p, head, sizeof(head));
	expect_state(&p, NBD_DEAD);
	assert_int_equal(p.count.e_option_size, 2);
	peer_close(&p);
}

static void an_endless_handshake_is_cut_off(void **state)
{
	struct peer p;

	start(&p, BOTH);
	for (unsigned i = 0; i < NBD_OPTS_MAX; i++)
		peer_option(&p, NBD_OPT_STARTTLS, NULL, 0);
	expect_state(&p, NBD_OPTION);
	peer_option(&p, NBD_OPT_STARTTLS, NULL, 0);
	expect_state(&p, NBD_DEAD);
	assert_int_equal(p.count.e_option_count, 1);
	peer_close(&p);
}

static void options_wait_while_their_replies_are_not_taken(void **state)
{
	struct peer p;
	uint8_t head[NBD_OPT_BYTES], *at;
	unsigned sent = 0;

	start(&p, BOTH);
	p.deaf = true;
	at = nbd_put64(head, NBD_OPT_MAGIC);
	at = nbd_put32(at, NBD_OPT_LIST);
	nbd_put32(at, 0);
	while (peer_send(&p, head, sizeof(head)) == sizeof(head))
		assert_true(++sent < 100000);
	assert_true(p.conn->stalled);
	p.deaf = false;
	peer_settle(&p);
	assert_false(p.conn->stalled);
	for (unsigned i = 0; i < 10; i++) {
		expect_rep(&p, NBD_OPT_LIST, NBD_REP_SERVER, NULL);
		expect_rep(&p, NBD_OPT_LIST, NBD_REP_ACK, NULL);
	}
	peer_close(&p);
}

static void contexts_are_listed_and_set(void **state)
{
	static const char *const all[] = {"base:"}, *const right[] = {"x:y", "base:allocation"},
				 *const wrong[] = {"qemu:dirty", "base:", ""};
	struct peer p;
	const uint8_t *b;
	uint32_t len;

	start(&p, BOTH);
	peer_context(&p, NBD_OPT_SET_META_CONTEXT, EXPORT_NAME, 2, right);
	expect_rep(&p, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_INVALID, NULL);
	peer_option(&p, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	expect_rep(&p, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL);

	peer_context(&p, NBD_OPT_LIST_META_CONTEXT, "", 0, NULL);
	b = expect_rep(&p, NBD_OPT_LIST_META_CONTEXT, NBD_REP_META_CONTEXT, &len);
	assert_int_equal(len, 19);
	assert_memory_equal(b + 4, "base:allocation", 15);
	expect_rep(&p, NBD_OPT_LIST_META_CONTEXT, NBD_REP_ACK, NULL);
	peer_context(&p, NBD_OPT_LIST_META_CONTEXT, EXPORT_NAME, 1, all);
	expect_rep(&p, NBD_OPT_LIST_META_CONTEXT, NBD_REP_META_CONTEXT, NULL);
	expect_rep(&p, NBD_OPT_LIST_META_CONTEXT, NBD_REP_ACK, NULL);
	assert_false(p.conn->context);

	peer_context(&p, NBD_OPT_SET_META_CONTEXT, EXPORT_NAME, 2, right);
	b = expect_rep(&p, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, &len);
	assert_memory_equal(b, "\0\0\0\1base:allocation", 19);
	expect_rep(&p, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL);
	assert_true(p.conn->context);

	peer_context(&p, NBD_OPT_SET_META_CONTEXT, EXPORT_NAME, 3, wrong);
	expect_rep(&p, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL);
	assert_false(p.conn->context);

	peer_context(&p, NBD_OPT_SET_META_CONTEXT, "nothing", 2, right);
	expect_rep(&p, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_UNKNOWN, NULL);
	assert_false(p.conn->context);
	expect_nothing(&p);
	peer_close(&p);
}

static void malformed_contexts_are_refused_and_unset(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {
		{"", 0},
		{"\0\0\0\3vol", 7},			     /* no number of queries */
		{"\0\0\0\3vol\0\0\0\1", 11},		     /* no query */
		{"\0\0\0\3vol\0\0\0\1\0\0\0\2x", 16},	     /* query cut off */
		{"\0\0\0\3vol\0\0\0\0x", 12},		     /* a byte too many */
		{"\0\0\0\3vol\xff\xff\xff\xff\0\0\0\0", 15}, /* too many queries */
		{"\xff\xff\xff\xffvol\0\0\0\0", 11},	     /* name cut off */
	};
	static const char *const right[] = {"base:allocation"};
	struct peer p;

	start(&p, BOTH);
	peer_option(&p, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		peer_context(&p, NBD_OPT_SET_META_CONTEXT, EXPORT_NAME, 1, right);
		peer_settle(&p);
		p.seen = p.nout;
		assert_true(p.conn->context);
		peer_option(&p, NBD_OPT_SET_META_CONTEXT, bad[i].data, bad[i].len);
		expect_rep(&p, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_INVALID, NULL);
		assert_false(p.conn->context);
	}
	assert_int_equal(p.count.e_option_invalid, sizeof(bad) / sizeof(bad[0]));
	peer_close(&p);
}

static void end_of_file_anywhere_in_the_handshake_is_harmless(void **state)
{
	static const uint8_t all[] = "\0\0\0\3IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0\0";

	for (size_t cut = 0; cut < sizeof(all) - 1; cut++) {
		struct peer p;

		peer_open(&p, 0);
		peer_send(&p, all, cut);
		nbd_conn_drain(p.conn);
		peer_settle(&p);
		assert_true(nbd_conn_finished(p.conn));
		peer_close(&p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(export_name_replies_without_zeroes_if_asked),
		cmocka_unit_test(export_name_replies_with_zeroes_to_old_clients),
		cmocka_unit_test(unknown_export_name_ends_the_connection),
		cmocka_unit_test(unknown_client_flags_end_the_connection),
		cmocka_unit_test(only_export_name_is_for_clients_without_fixed_newstyle),
		cmocka_unit_test(bad_option_magic_ends_the_connection),
		cmocka_unit_test(abort_is_acknowledged_and_closes),
		cmocka_unit_test(list_names_the_export),
		cmocka_unit_test(unsupported_options_are_refused_and_the_next_one_works),
		cmocka_unit_test(info_and_go_tell_what_is_asked_for),
		cmocka_unit_test(a_read_only_export_says_so),
		cmocka_unit_test(malformed_info_is_refused),
		cmocka_unit_test(long_options_are_skipped_longer_ones_end_the_connection),
		cmocka_unit_test(an_endless_handshake_is_cut_off),
		cmocka_unit_test(options_wait_while_their_replies_are_not_taken),
		cmocka_unit_test(contexts_are_listed_and_set),
		cmocka_unit_test(malformed_contexts_are_refused_and_unset),
		cmocka_unit_test(end_of_file_anywhere_in_the_handshake_is_harmless),
	};
	int failed = 0;

	for (peer_mode = 0; peer_mode < PEER_MODES; peer_mode++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed != 0;
}
