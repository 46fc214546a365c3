/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/peers.h"

static struct peers peers;

static struct peer_key key(uint32_t addr, uint16_t port)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
	struct peer_key k;

	assert_int_equal(peer_key_of(&k, (void *)&sa), 0);
	return k;
}

static void same_address_same_handle(void **state)
{
	struct peer_key a = key(0x0a000001, 7117), b = key(0x0a000001, 7118);
	uint32_t i;

	peers_init(&peers, AF_INET);
	i = peers_get(&peers, &a, false);
	assert_int_equal(peers_get(&peers, &a, true), i);
	assert_int_not_equal(peers_get(&peers, &b, false), i);
}

static void learnt_ones_give_way_and_added_ones_stay(void **state)
{
	struct peer_key first = key(1, 1), k;
	uint32_t keep, newest, i;

	peers_init(&peers, AF_INET);
	keep = peers_get(&peers, &first, true);
	for (i = 0; i < 3 * PEERS_MAX; i++) {
		k = key(2 + i, 1);
		assert_int_not_equal(peers_get(&peers, &k, false), PEER_NONE);
	}
	assert_int_equal(peers_get(&peers, &first, false), keep);
	newest = peers_get(&peers, &k, false);
	assert_memory_equal(&peers.peer[newest].key, &k, sizeof(k));
}

static void a_full_table_says_so(void **state)
{
	struct peer_key k;

	peers_init(&peers, AF_INET);
	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		k = key(i, 1);
		assert_int_not_equal(peers_get(&peers, &k, true), PEER_NONE);
	}
	k = key(PEERS_MAX, 1);
	assert_int_equal(peers_get(&peers, &k, true), PEER_NONE);
	k = key(PEERS_MAX - 1, 1);
	assert_int_not_equal(peers_get(&peers, &k, true), PEER_NONE);
}

static void an_ipv4_socket_has_no_ipv6_peers(void **state)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct peer_key k;

	assert_int_equal(peer_key_of(&k, (void *)&sa), 0);
	peers_init(&peers, AF_INET);
	assert_int_equal(peers_get(&peers, &k, true), PEER_NONE);
	peers_init(&peers, AF_INET6);
	assert_int_not_equal(peers_get(&peers, &k, true), PEER_NONE);
}

static void ipv4_is_given_back_as_ipv4(void **state)
{
	struct peer_key k = key(0x7f000001, 5);
	struct sockaddr_storage sa;
	struct sockaddr_in *v4 = (void *)&sa;

	peer_sockaddr(&k, &sa);
	assert_int_equal(sa.ss_family, AF_INET);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0x7f000001);
	assert_int_equal(ntohs(v4->sin_port), 5);
	sa.ss_family = AF_UNIX;
	assert_int_equal(peer_key_of(&k, (void *)&sa), -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_address_same_handle),
		cmocka_unit_test(learnt_ones_give_way_and_added_ones_stay),
		cmocka_unit_test(a_full_table_says_so),
		cmocka_unit_test(an_ipv4_socket_has_no_ipv6_peers),
		cmocka_unit_test(ipv4_is_given_back_as_ipv4),
	};

	return cmocka_run_group_tests_name("net-peers", tests, NULL, NULL);
}
