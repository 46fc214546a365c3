/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AF_XDP side of the transport: which rung it reaches and why not a better one, what it leaves
 * behind, fencing. The store's side lives in this network namespace, the client in another.
 */
#include "xdp_pair.h"

/* A question that must come by AF_XDP and an answer that must leave by it. */
static void expect_traffic(struct pair *p, bool by_xdp)
{
	struct xbd_send ask = {.type = XBD_T_INFO, .sender = XBD_SLOT_NONE};
	struct xbd_info body = {.boot = 1};
	struct xbd_send answer = {.type = XBD_T_INFO_R, .body = &body, .body_len = sizeof(body)};
	struct net_counters c;

	net_send(p->client.net, &p->to_store, 1, &ask);
	run_until(p, &p->store, 1);
	assert_int_equal(p->store.packets, 1);
	net_send(p->store.net, &p->store.last.from, 1, &answer);
	run_until(p, &p->client, 1);
	assert_int_equal(p->client.packets, 1);
	assert_int_equal(p->client.last.from, p->to_store);
	net_counters(p->store.net, &c);
	assert_int_equal(c.rx_xsk, by_xdp);
	assert_int_equal(c.tx_xsk, by_xdp);
	assert_int_equal(c.verdict_xdp[XBD_V_STEERED], by_xdp);
}

static void native_mode_carries_messages_and_leaves_nothing(void **state)
{
	struct net_info info;
	struct pair p;
	char why[256];

	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", NULL, why), 0);
	net_info(p.store.net, &info);
	assert_true(info.mode == NET_MODE_XDP_COPY || info.mode == NET_MODE_XDP_ZEROCOPY);
	assert_string_equal(info.interface, "s0");
	assert_int_equal(info.queues, 2);
	assert_true(info.fenced);
	assert_int_not_equal(attached("s0"), 0);
	open_client(&p, "10.77.0.2");
	expect_traffic(&p, true);
	close_pair(&p);
	assert_int_equal(attached("s0"), 0);
}

static void a_wildcard_takes_all_addresses_of_the_interface(void **state)
{
	struct pair p;
	char why[256];

	assert_int_equal(open_store(&p, NET_XDP, "0.0.0.0", "s0", why), 0);
	open_client(&p, "10.77.0.2");
	expect_traffic(&p, true);
	close_pair(&p);
}

static void addresses_of_others_are_not_taken(void **state)
{
	struct pair p;
	char why[256];

	sh("ip addr add 10.77.0.3/24 dev s0");
	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", "s0", why), 0);
	open_client(&p, "10.77.0.3");
	net_send(p.client.net, &p.to_store, 1,
		 &(struct xbd_send){.type = XBD_T_INFO, .sender = XBD_SLOT_NONE});
	for (int i = 0; i < 20; i++)
		loop_turn(&p.loop, false);
	assert_int_equal(p.store.packets, 0);
	close_pair(&p);
	sh("ip addr del 10.77.0.3/24 dev s0");
}

static void devices_without_native_xdp_get_the_generic_rung(void **state)
{
	struct net_info info;
	struct pair p;
	char why[256];

	sh("ip link add b0 type bridge && ip link set s0 master b0 && "
	   "ip addr del 10.77.0.2/24 dev s0 && ip addr add 10.77.0.2/24 dev b0 && "
	   "ip link set b0 address $(cat /sys/class/net/s0/address 2>/dev/null || echo "
	   "02:00:00:00:77:02) up");
	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", NULL, why), 0);
	net_info(p.store.net, &info);
	assert_int_equal(info.mode, NET_MODE_XDP_GENERIC);
	assert_non_null(strstr(info.why, "native XDP on b0"));
	open_client(&p, "10.77.0.2");
	expect_traffic(&p, true);
	close_pair(&p);
	assert_int_equal(attached("b0"), 0);
	sh("ip link del b0 && ip addr add 10.77.0.2/24 dev s0");
}

static void an_interface_in_use_is_not_taken_over(void **state)
{
	struct net_config cfg = {.side = XBD_SIDE_STORE, .listen = v4("10.77.0.2", 7118)};
	struct net_info info;
	struct pair p;
	struct net *second;
	char why[256];
	uint32_t id;

	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", NULL, why), 0);
	id = attached("s0");
	cfg.transport = NET_XDP;
	assert_int_equal(net_open(&second, &p.loop, &cfg, &ops, NULL, why), -EBUSY);
	assert_non_null(strstr(why, "another xbd daemon"));
	cfg.transport = NET_AUTO;
	assert_int_equal(net_open(&second, &p.loop, &cfg, &ops, NULL, why), 0);
	net_info(second, &info);
	assert_int_equal(info.mode, NET_MODE_UDP);
	assert_non_null(strstr(info.why, "another xbd daemon"));
	net_close(second);
	assert_int_equal(attached("s0"), id);
	close_pair(&p);
}

static void a_killed_process_leaves_nothing(void **state)
{
	struct timespec pause = {.tv_nsec = 10000000};
	struct pair p;
	char why[256], c;
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (!open_store(&p, NET_XDP, "10.77.0.2", NULL, why) &&
		    write(ready[1], "+", 1) == 1)
			pause.tv_sec = 30;
		nanosleep(&pause, NULL);
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_not_equal(attached("s0"), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 300 && attached("s0"); i++)
		nanosleep(&pause, NULL);
	assert_int_equal(attached("s0"), 0);
	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", NULL, why), 0);
	open_client(&p, "10.77.0.2");
	expect_traffic(&p, true);
	close_pair(&p);
}

static void the_loopback_interface_uses_udp(void **state)
{
	struct net_info info;
	struct pair p;
	char why[256];

	assert_int_equal(open_store(&p, NET_AUTO, "127.0.0.1", NULL, why), 0);
	net_info(p.store.net, &info);
	assert_int_equal(info.mode, NET_MODE_UDP);
	assert_non_null(strstr(info.why, "loopback"));
	close_pair(&p);
	assert_true(open_store(&p, NET_XDP, "127.0.0.1", NULL, why) < 0);
	loop_free(&p.loop);
}

static void a_small_mtu_is_refused(void **state)
{
	struct pair p;
	char why[256];

	sh("ip link set s0 mtu 1279");
	assert_true(open_store(&p, NET_AUTO, "10.77.0.2", NULL, why) < 0);
	assert_non_null(strstr(why, "1280"));
	loop_free(&p.loop);
	sh("ip link set s0 mtu 1500");
}

static void without_capabilities_udp_works_and_says_why(void **state)
{
	struct net_info info;
	struct pair p;
	char why[256];
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setresuid(65534, 65534, 65534) ||
		    open_store(&p, NET_AUTO, "10.77.0.2", NULL, why))
			_exit(1);
		net_info(p.store.net, &info);
		_exit(info.mode == NET_MODE_UDP && strstr(info.why, "CAP_BPF") ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void stale_packets_are_dropped_in_xdp_but_a_few(void **state)
{
	struct xbd_send lease = {
		.type = XBD_T_LEASE, .sender = XBD_SLOT_NONE, .shard = 5, .ver = XBD_VER(4, 1)};
	struct net_counters c;
	struct pair p;
	char why[256];

	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", NULL, why), 0);
	open_client(&p, "10.77.0.2");
	net_fence(p.store.net, 5, 4);
	net_send(p.client.net, &p.to_store, 1, &lease);
	run_until(&p, &p.store, 1);
	assert_int_equal(p.store.packets, 1);
	net_fence(p.store.net, 5, 5);
	net_fence(p.store.net, 5, 3); /* never lowers */
	for (int i = 0; i < 100; i++)
		net_send(p.client.net, &p.to_store, 1, &lease);
	for (int i = 0; i < 1000; i++) {
		struct timespec pause = {.tv_nsec = 1000000};

		loop_turn(&p.loop, false);
		nanosleep(&pause, NULL);
		net_counters(p.store.net, &c);
		if (c.verdict_xdp[XBD_V_STALE_NOTIFY] + c.verdict_xdp[XBD_V_STALE] == 100)
			break;
	}
	for (int i = 0; i < 20; i++)
		loop_turn(&p.loop, false);
	assert_true(p.store.packets >= 2 && p.store.packets < 60);
	assert_int_equal(c.verdict_xdp[XBD_V_STALE_NOTIFY], p.store.packets - 1);
	assert_int_equal(c.verdict_xdp[XBD_V_STALE], 101 - p.store.packets);
	close_pair(&p);
}

static void a_changed_keyring_reaches_xdp(void **state)
{
	struct xbd_keyring kr = {.live = 1 << 2, .use = 2, .key[2] = {{8, 9}}};
	struct net_counters c;
	struct pair p;
	char why[256];

	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", NULL, why), 0);
	open_client(&p, "10.77.0.2");
	net_set_keyring(p.store.net, &kr);
	net_send(p.client.net, &p.to_store, 1,
		 &(struct xbd_send){.type = XBD_T_INFO, .sender = XBD_SLOT_NONE});
	net_flush(p.client.net);
	net_set_keyring(p.client.net, &kr);
	expect_traffic(&p, true);
	net_counters(p.store.net, &c);
	assert_int_equal(c.verdict_xdp[XBD_V_KEY], 1);
	close_pair(&p);
}

static void pins_come_and_go(void **state)
{
	struct net_config cfg = {
		.transport = NET_XDP, .side = XBD_SIDE_STORE, .listen = v4("10.77.0.2", XBD_PORT)};
	char dir[] = "/tmp/xbd-pins-XXXXXX", path[64];
	struct pair p = {0};
	char why[256];

	assert_non_null(mkdtemp(dir));
	if (unshare(CLONE_NEWNS) || sh("mount --make-rprivate / && mount -t bpf bpf %s", dir)) {
		rmdir(dir);
		skip();
	}
	snprintf(path, sizeof(path), "%s/node", dir);
	cfg.pin_dir = path;
	assert_int_equal(loop_init(&p.loop, 256, 8), 0);
	assert_int_equal(net_open(&p.store.net, &p.loop, &cfg, &ops, &p.store, why), 0);
	assert_int_equal(sh("test -e %s/v1_stats", path), 0);
	close_pair(&p);
	assert_int_not_equal(sh("test -e %s", path), 0);
	sh("umount %s", dir);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(native_mode_carries_messages_and_leaves_nothing),
		cmocka_unit_test(a_wildcard_takes_all_addresses_of_the_interface),
		cmocka_unit_test(addresses_of_others_are_not_taken),
		cmocka_unit_test(devices_without_native_xdp_get_the_generic_rung),
		cmocka_unit_test(an_interface_in_use_is_not_taken_over),
		cmocka_unit_test(a_killed_process_leaves_nothing),
		cmocka_unit_test(the_loopback_interface_uses_udp),
		cmocka_unit_test(a_small_mtu_is_refused),
		cmocka_unit_test(without_capabilities_udp_works_and_says_why),
		cmocka_unit_test(stale_packets_are_dropped_in_xdp_but_a_few),
		cmocka_unit_test(a_changed_keyring_reaches_xdp),
		cmocka_unit_test(pins_come_and_go),
	};
	int failed;

	netns_enter_new();
	if (!set_up())
		failed = 1;
	else
		failed = cmocka_run_group_tests_name("xdp", tests, NULL, NULL);
	tear_down();
	return failed ? 1 : 0;
}
