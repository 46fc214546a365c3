/* SPDX-License-Identifier: BSD-2-Clause */
#include "node_prog.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kern/parse.h"
#include "net/xsk.h"
#include "xdp_node.skel.h"

static struct xdp_node *skel;
static struct xskq *socket0; /* any AF_XDP socket: the program only looks whether there is one */
static struct xbd_xdp_config config;
static struct xbd_keyring keyring;
static uint32_t fences[XBD_SHARDS_MAX];
static uint64_t before[XBD_V_END];
static unsigned ncpu;

static const uint8_t store6[16] = {0xfd, 0x77, [15] = 2};
static const uint8_t peer6[16] = {0xfd, 0x77, [15] = 1};

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(err < 0 ? -err : errno));
	exit(1);
}

static void set_local(void)
{
	struct xbd_address a4, a6;
	uint32_t one = 1;
	int fd = bpf_map__fd(skel->maps.local);

	xbd_mapped(&a4, STORE_IP4);
	memcpy(a6.b, store6, 16);
	must(bpf_map_update_elem(fd, &a4, &one, BPF_ANY), "local address");
	must(bpf_map_update_elem(fd, &a6, &one, BPF_ANY), "local address");
}

bool node_load(void)
{
	libbpf_set_print(silent);
	skel = xdp_node__open_and_load();
	if (!skel) {
		if (errno != EPERM && errno != EACCES)
			must(-errno, "cannot load xdp_node");
		printf("skipped: no permission to load BPF programs\n");
		return false;
	}
	ncpu = (unsigned)libbpf_num_possible_cpus();
	set_local();
	return true;
}

void node_free(void)
{
	xskq_close(socket0);
	xdp_node__destroy(skel);
}

void node_configure(enum xbd_side side, uint32_t len_max)
{
	uint32_t zero = 0;

	config = (struct xbd_xdp_config){
		.port = XBD_NTOHS(XBD_PORT), .side = (uint16_t)side, .len_max = len_max};
	must(bpf_map_update_elem(bpf_map__fd(skel->maps.config), &zero, &config, BPF_ANY),
	     "config");
}

void node_set_keys(const struct xbd_keyring *kr)
{
	keyring = *kr;
	for (uint32_t id = 0; id < XBD_KEYS; id++) {
		struct xbd_key_entry e = {.key = kr->key[id], .live = kr->live >> id & 1};

		must(bpf_map_update_elem(bpf_map__fd(skel->maps.keys), &id, &e, BPF_ANY), "keys");
	}
}

void node_set_fence(uint32_t shard, uint32_t epoch)
{
	struct xbd_fence f = {.epoch = epoch};

	fences[shard] = epoch;
	must(bpf_map_update_elem(bpf_map__fd(skel->maps.fence), &shard, &f, BPF_ANY), "fence");
}

void node_set_socket(bool there)
{
	struct xskq_config cfg = {.interface = "lo", .frames = 256};
	uint32_t zero = 0;
	int fd = bpf_map__fd(skel->maps.xsks);

	if (!there) {
		(void)bpf_map_delete_elem(fd, &zero);
		return;
	}
	if (!socket0)
		must(xskq_open(&socket0, &cfg), "AF_XDP socket on lo");
	int sock = xskq_fd(socket0);

	must(bpf_map_update_elem(fd, &zero, &sock, BPF_ANY), "XSKMAP");
}

uint32_t wrap_ip(enum wrap how)
{
	return how >= WRAP_VLAN_IP4 ? 18 : 14;
}

static bool is_ip4(enum wrap how)
{
	return how == WRAP_IP4 || how == WRAP_VLAN_IP4;
}

uint32_t wrap_head(enum wrap how)
{
	return wrap_ip(how) + (is_ip4(how) ? 20 : 40) + 8;
}

void wrap(struct frame *f, enum wrap how, const void *pkt, uint32_t len)
{
	uint8_t *at = f->b + wrap_ip(how);
	struct iphdr ip4 = {.version = 4,
			    .ihl = 5,
			    .tot_len = XBD_NTOHS((uint16_t)(28 + len)),
			    .ttl = 64,
			    .protocol = IPPROTO_UDP};
	struct ipv6hdr ip6 = {.version = 6,
			      .payload_len = XBD_NTOHS((uint16_t)(8 + len)),
			      .nexthdr = IPPROTO_UDP,
			      .hop_limit = 64};
	struct udphdr udp = {.source = XBD_NTOHS(4000),
			     .dest = XBD_NTOHS(XBD_PORT),
			     .len = XBD_NTOHS((uint16_t)(8 + len))};
	uint16_t proto = XBD_NTOHS(is_ip4(how) ? ETH_P_IP : ETH_P_IPV6);

	memset(f->b, 2, 12);
	memcpy(at - 2, &proto, 2);
	if (how >= WRAP_VLAN_IP4)
		memcpy(f->b + 12, "\x81\x00\x00\x2a", 4);
	memcpy(&ip4.saddr, PEER_IP4, 4);
	memcpy(&ip4.daddr, STORE_IP4, 4);
	memcpy(&ip6.saddr, peer6, 16);
	memcpy(&ip6.daddr, store6, 16);
	if (is_ip4(how))
		memcpy(at, &ip4, 20);
	else
		memcpy(at, &ip6, 40);
	memcpy(f->b + wrap_head(how) - 8, &udp, 8);
	if (len)
		memcpy(f->b + wrap_head(how), pkt, len);
	f->len = wrap_head(how) + len;
}

/* Counters of all verdicts at once. */
static void read_stats(uint64_t *out)
{
	static uint64_t values[XBD_V_END * 256];
	uint32_t keys[XBD_V_END], n = XBD_V_END, batch;
	int err = bpf_map_lookup_batch(bpf_map__fd(skel->maps.stats), NULL, &batch, keys, values,
				       &n, NULL);

	if (err && err != -ENOENT)
		must(err, "stats");
	for (uint32_t v = 0; v < XBD_V_END; v++) {
		out[v] = 0;
		for (unsigned i = 0; i < ncpu; i++)
			out[v] += values[v * ncpu + i];
	}
}

int node_run(const struct frame *f, int *action)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = f->len, .repeat = 1);
	uint64_t after[XBD_V_END];
	int verdict = -1;

	must(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.xdp_node), &opts), "test run");
	*action = (int)opts.retval;
	read_stats(after);
	for (int v = 0; v < XBD_V_END; v++) {
		if (after[v] == before[v])
			continue;
		/* exactly one verdict, counted once */
		verdict = verdict < 0 && after[v] == before[v] + 1 ? v : XBD_V_END;
	}
	memcpy(before, after, sizeof(before));
	return verdict;
}

static bool is_local(const struct xbd_address *a)
{
	struct xbd_address a4;

	xbd_mapped(&a4, STORE_IP4);
	return !memcmp(a, &a4, sizeof(a4)) || !memcmp(a, store6, sizeof(store6));
}

int node_native(const struct frame *f)
{
	struct xbd_cursor c = {f->b, f->b + f->len};
	struct xbd_frame fr;
	struct xbd_msg m;
	uint32_t len;
	int v = xbd_parse(&c, &fr);

	if (v != XBD_V_ACCEPTED)
		return v;
	if (fr.dst_port != config.port || !is_local(&fr.dst))
		return XBD_V_NOT_OURS;
	len = xbd_datagram(&fr, f->len);
	if (!len)
		return XBD_V_SHORT;
	v = codec_decode(&m, c.pos, len, &keyring, config.side);
	if (v != XBD_V_ACCEPTED && v != XBD_V_BODY_CRC) /* XDP does not look at bodies */
		return v;
	if (f->len > config.len_max)
		return XBD_V_NO_SOCKET;
	return xbd_is_stale(&m.h, fences[m.h.shard]) ? XBD_V_STALE : XBD_V_STEERED;
}
