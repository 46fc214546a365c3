/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages over loopback UDP sockets: all sizes, both families, refusals, errors. */
#include "pair.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define STORE_PORT  27117
#define CLIENT_PORT 27118

struct fixture {
	struct loop loop;
	struct end store, client;
	uint32_t to_store;
};

static uint8_t data[DATA_MAX];
static uint32_t crc[XBD_OP_BLOCKS];

static bool start(struct fixture *f, int family, uint32_t frag_len)
{
	char why[256];
	int err;

	memset(f, 0, sizeof(*f));
	assert_int_equal(loop_init(&f->loop, 256, 8), 0);
	err = end_open(&f->store, &f->loop, XBD_SIDE_STORE, family, STORE_PORT, frag_len, why);
	if (err) {
		print_message("%s\n", why);
		loop_free(&f->loop);
		return false;
	}
	assert_int_equal(
		end_open(&f->client, &f->loop, XBD_SIDE_CLIENT, family, CLIENT_PORT, frag_len, why),
		0);
	f->to_store = net_peer_add(f->client.net, (void *)&f->store.addr, sizeof(f->store.addr));
	assert_int_not_equal(f->to_store, UINT32_MAX);
	return true;
}

static void stop(struct fixture *f)
{
	net_close(f->client.net);
	net_close(f->store.net);
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_turn(&f->loop, false), 0);
	loop_free(&f->loop);
}

static struct xbd_send info_request(void)
{
	return (struct xbd_send){.type = XBD_T_INFO, .sender = XBD_SLOT_NONE, .stamp = 77};
}

static struct xbd_send write_request(unsigned blocks)
{
	struct xbd_send s = {.type = XBD_T_WRITE,
			     .sender = XBD_SLOT_NONE,
			     .count = (uint16_t)blocks,
			     .shard = 3,
			     .ver = XBD_VER(1, 5),
			     .body = data,
			     .body_len = blocks * XBD_BLOCK_SIZE,
			     .crc = crc};

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	return s;
}

static void answer(struct fixture *f)
{
	struct xbd_info body = {.boot = 9};
	struct xbd_send s = {.type = XBD_T_INFO_R,
			     .body = &body,
			     .body_len = sizeof(body),
			     .stamp = XBD_STAMP(f->store.last.h.stamp, 0)};

	net_send(f->store.net, &f->store.last.from, 1, &s);
	memset(&body, 0xee, sizeof(body)); /* not needed any more */
}

static void a_question_is_answered_to_its_sender(int family)
{
	struct fixture f;
	struct xbd_send s = info_request();
	const struct xbd_info *got = (const void *)f.client.data;

	if (!start(&f, family, 0))
		return;
	net_send(f.client.net, &f.to_store, 1, &s);
	run_until(&f.loop, &f.store, 1);
	answer(&f);
	run_until(&f.loop, &f.client, 1);
	assert_int_equal(f.client.last.h.type, XBD_T_INFO_R);
	assert_int_equal(f.client.last.h.stamp, 77);
	assert_int_equal(f.client.last.from, f.to_store);
	assert_int_equal(got->boot, 9);
	assert_int_equal(f.store.ends, 1);
	stop(&f);
}

static void ipv4(void **state)
{
	a_question_is_answered_to_its_sender(AF_INET);
}

static void ipv6(void **state)
{
	a_question_is_answered_to_its_sender(AF_INET6);
}

static void operations_of_all_sizes_arrive_whole(void **state)
{
	static const uint32_t lens[] = {1024, 2048, 4096};
	struct fixture f;

	for (unsigned k = 0; k < 3; k++) {
		unsigned want = 0;

		assert_true(start(&f, AF_INET, lens[k]));
		for (unsigned blocks = 1; blocks <= XBD_OP_BLOCKS; blocks = blocks * 2 + (k & 1)) {
			struct xbd_send s = write_request(blocks);

			memset(f.store.data, 0, sizeof(f.store.data));
			net_send(f.client.net, &f.to_store, 1, &s);
			want += s.body_len / lens[k];
			run_until(&f.loop, &f.store, want);
			assert_memory_equal(f.store.data, data, s.body_len);
		}
		stop(&f);
	}
}

static void fragments_that_are_there_already_are_not_sent(void **state)
{
	struct xbd_units have = {{0x0f, 0}};
	struct xbd_send s = write_request(2);
	struct fixture f;

	assert_true(start(&f, AF_INET, 1024));
	s.skip = &have;
	net_send(f.client.net, &f.to_store, 1, &s);
	run_until(&f.loop, &f.store, 4);
	assert_memory_equal(f.store.data + 4096, data + 4096, 4096);
	stop(&f);
}

static void many_messages_of_one_turn_leave_in_few_calls(void **state)
{
	struct xbd_send s = info_request();
	struct net_counters c;
	struct fixture f;

	assert_true(start(&f, AF_INET, 0));
	for (unsigned i = 0; i < 200; i++)
		net_send(f.client.net, &f.to_store, 1, &s);
	run_until(&f.loop, &f.store, 200);
	net_counters(f.client.net, &c);
	assert_int_equal(c.tx_packets, 200);
	assert_int_equal(c.tx_bytes, 200 * 64);
	assert_true(c.tx_calls <= 2);
	net_counters(f.store.net, &c);
	assert_int_equal(c.verdict[XBD_V_ACCEPTED], 200);
	stop(&f);
}

static void refused_packets_are_counted_by_reason(void **state)
{
	uint8_t junk[64] = {XBD_MAGIC, XBD_VERSION + 1};
	struct net_counters c;
	struct fixture f;
	struct xbd_send s = info_request();
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(start(&f, AF_INET, 0));
	sendto(fd, junk, sizeof(junk), 0, (void *)&f.store.addr, sizeof(struct sockaddr_in));
	sendto(fd, junk, 10, 0, (void *)&f.store.addr, sizeof(struct sockaddr_in));
	sendto(fd, junk, 0, 0, (void *)&f.store.addr, sizeof(struct sockaddr_in));
	net_send(f.client.net, &f.to_store, 1, &s);
	run_until(&f.loop, &f.store, 1);
	net_counters(f.store.net, &c);
	assert_int_equal(c.verdict[XBD_V_VERSION], 1);
	assert_int_equal(c.verdict[XBD_V_SHORT], 2);
	close(fd);
	stop(&f);
}

static void another_key_is_refused(void **state)
{
	struct xbd_keyring kr = {.live = 1 << 1, .use = 1, .key[1] = {{1, 2}}};
	struct xbd_send s = info_request();
	struct net_counters c;
	struct fixture f;

	assert_true(start(&f, AF_INET, 0));
	net_set_keyring(f.store.net, &kr);
	net_send(f.client.net, &f.to_store, 1, &s);
	net_flush(f.client.net);
	net_set_keyring(f.client.net, &kr);
	net_send(f.client.net, &f.to_store, 1, &s);
	run_until(&f.loop, &f.store, 1);
	net_counters(f.store.net, &c);
	assert_int_equal(c.verdict[XBD_V_KEY], 1);
	stop(&f);
}

static void errors_name_what_to_do(void **state)
{
	struct net_config cfg = {.side = XBD_SIDE_STORE, .interface = "no-such-if"};
	struct fixture f;
	struct end second;
	struct net *n;
	char why[256];

	assert_true(start(&f, AF_INET, 0));
	assert_int_equal(end_open(&second, &f.loop, XBD_SIDE_STORE, AF_INET, STORE_PORT, 0, why),
			 -EADDRINUSE);
	assert_non_null(strstr(why, " is in use"));
	cfg.listen = loopback(AF_INET, STORE_PORT);
	assert_true(net_open(&n, &f.loop, &cfg, &end_ops, NULL, why) < 0);
	assert_non_null(strstr(why, "no-such-if"));
	cfg.interface = NULL;
	cfg.frag_len = 1000;
	assert_int_equal(net_open(&n, &f.loop, &cfg, &end_ops, NULL, why), -EINVAL);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(operations_of_all_sizes_arrive_whole),
		cmocka_unit_test(fragments_that_are_there_already_are_not_sent),
		cmocka_unit_test(many_messages_of_one_turn_leave_in_few_calls),
		cmocka_unit_test(refused_packets_are_counted_by_reason),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(errors_name_what_to_do),
	};

	return cmocka_run_group_tests_name("net-udp", tests, NULL, NULL);
}
