/* SPDX-License-Identifier: BSD-2-Clause */
/* AF_XDP and VLAN tags, with frames made by hand: no VLAN devices are needed. */
#include "xdp_pair.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>

#include "net/frame.h"

/* The tag of the next frame from our port that arrives on the packet socket, -1 = none came. */
static int received_tci(int fd)
{
	union {
		struct cmsghdr align;
		uint8_t b[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	uint8_t frame[2048];
	struct iovec iov = {frame, sizeof(frame)};
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	while (poll(&pfd, 1, 500) > 0) {
		struct msghdr m = {.msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = &control,
				   .msg_controllen = sizeof(control)};
		struct tpacket_auxdata aux;
		ssize_t n = recvmsg(fd, &m, 0);

		/* IPv4, UDP, from the store's port; the kernel has put the tag aside */
		if (n < 42 || frame[23] != 17 || memcmp(frame + 34, "\x1b\xcd", 2))
			continue;
		memcpy(&aux, CMSG_DATA(&control.align), sizeof(aux));
		return aux.tp_status & TP_STATUS_VLAN_VALID ? aux.tp_vlan_tci : 0;
	}
	return -1;
}

/* A question as a client on VLAN 5 sends it. */
static uint32_t tagged_question(uint8_t *frame)
{
	struct xbd_send s = {.type = XBD_T_INFO, .sender = XBD_SLOT_NONE};
	struct sockaddr_storage store = v4("10.77.0.2", XBD_PORT), client = v4("10.77.0.1", 4000);
	struct xbd_keyring kr;
	struct peer_key key;
	struct peer peer = {.link = {.mac = {2, 0, 0, 0, 0x77, 2},
				     .local_mac = {2, 0, 0, 0, 0x77, 1},
				     .tci = 5,
				     .tagged = true,
				     .known = true}};
	struct codec_iter it;
	struct xbd_hdr h;
	const uint8_t *body;
	uint32_t len, head;

	codec_keyring_public(&kr);
	codec_begin(&it, &s, &kr, 1024);
	assert_true(codec_next(&it, &h, &body, &len));
	peer_key_of(&key, (void *)&client);
	peer.link.local = key.addr;
	peer_key_of(&peer.key, (void *)&store);
	head = frame_build(frame, &peer, htons(4000), &h, NULL, 0);
	memcpy(frame + head, &h, sizeof(h));
	return head + (uint32_t)sizeof(h);
}

static void answers_keep_the_vlan_of_the_question(void **state)
{
	struct xbd_info body = {.boot = 1};
	struct xbd_send answer = {.type = XBD_T_INFO_R, .body = &body, .body_len = sizeof(body)};
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	uint8_t frame[256];
	struct pair p;
	char why[256];
	int fd, one = 1;

	sh("ip link set s0 address 02:00:00:00:77:02");
	assert_int_equal(open_store(&p, NET_XDP, "10.77.0.2", NULL, why), 0);
	assert_int_equal(setns(client_ns, CLONE_NEWNET), 0);
	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	ll.sll_ifindex = (int)if_nametoindex("c0");
	assert_int_equal(bind(fd, (void *)&ll, sizeof(ll)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), 0);
	assert_int_equal(setns(store_ns, CLONE_NEWNET), 0);
	assert_true(send(fd, frame, tagged_question(frame), 0) > 0);
	run_until(&p, &p.store, 1);
	assert_int_equal(p.store.packets, 1);
	net_send(p.store.net, &p.store.last.from, 1, &answer);
	net_flush(p.store.net);
	assert_int_equal(received_tci(fd), 5);
	close(fd);
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_keep_the_vlan_of_the_question),
	};
	int failed;

	netns_enter_new();
	failed = !set_up() || cmocka_run_group_tests_name("vlan", tests, NULL, NULL);
	tear_down();
	return failed ? 1 : 0;
}
