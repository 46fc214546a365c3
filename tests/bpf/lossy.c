/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xbd-lossy: attach, change, show and detach the program of lossy.bpf.c on a device of this
 * network namespace. It works on what enters the host through the device: use the bridge's end of
 * a veth pair to disturb what its other end sends. Large (GSO) sends are cut into packets before:
 * on veth pairs an XDP program that passes everything makes sure of that; on other devices turn
 * segmentation offload off where the packets come from. `show` tells how many came uncut.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lossy.h"
#include "lossy.skel.h"

static const char usage[] = "usage: xbd-lossy attach DEV [--loss PCT] [--reorder PCT] [--dup PCT]\n"
			    "       xbd-lossy show DEV\n"
			    "       xbd-lossy detach DEV\n";

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "xbd-lossy: %s: %s\n", what, strerror(-err));
	return 1;
}

static bool percent(const char *text, __u64 *out)
{
	char *end;
	double v = strtod(text, &end);

	if (*end || end == text || !(v >= 0 && v <= 100))
		return false;
	*out = (__u64)(v / 100 * 4294967296.0);
	return true;
}

static bool parse_config(int argc, char **argv, struct lossy_config *c)
{
	static const struct option options[] = {
		{"loss", required_argument, NULL, 'l'},
		{"reorder", required_argument, NULL, 'r'},
		{"dup", required_argument, NULL, 'd'},
		{0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		__u64 *to = o == 'l' ? &c->loss : o == 'r' ? &c->reorder : &c->dup;

		if (o == '?' || !percent(optarg, to))
			return false;
	}
	return true;
}

static struct bpf_tc_hook hook_of(unsigned ifindex)
{
	return (struct bpf_tc_hook){.sz = sizeof(struct bpf_tc_hook),
				    .ifindex = (int)ifindex,
				    .attach_point = BPF_TC_INGRESS};
}

/* Only an improvement, and only if nobody else's program is there. */
static void start_cutting(unsigned ifindex, const struct lossy *l)
{
	(void)bpf_xdp_attach((int)ifindex, bpf_program__fd(l->progs.lossy_cut),
			     XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_DRV_MODE, NULL);
}

static void stop_cutting(unsigned ifindex)
{
	struct bpf_prog_info info = {0};
	__u32 id = 0, len = sizeof(info);
	int fd;

	if (bpf_xdp_query_id((int)ifindex, XDP_FLAGS_DRV_MODE, &id) || !id)
		return;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && !strcmp(info.name, "lossy_cut"))
		(void)bpf_xdp_detach((int)ifindex, XDP_FLAGS_DRV_MODE, NULL);
	close(fd);
}

static int attach(unsigned ifindex, const struct lossy_config *c)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .flags = BPF_TC_F_REPLACE);
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct lossy *l = lossy__open_and_load();
	__u32 zero = 0;
	int err;

	if (!l)
		return fail("cannot load the program", -errno);
	err = bpf_map_update_elem(bpf_map__fd(l->maps.lossy_config), &zero, c, BPF_ANY);
	if (!err)
		err = bpf_tc_hook_create(&hook);
	if (!err || err == -EEXIST) {
		opts.prog_fd = bpf_program__fd(l->progs.lossy);
		err = bpf_tc_attach(&hook, &opts);
	}
	if (!err)
		start_cutting(ifindex, l);
	lossy__destroy(l);
	return err ? fail("cannot attach", err) : 0;
}

static int detach(unsigned ifindex)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	struct bpf_tc_hook hook = hook_of(ifindex);
	int err = bpf_tc_detach(&hook, &opts);

	stop_cutting(ifindex);
	if (err)
		return fail("cannot detach", err);
	/* both points: the qdisc goes as well */
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	err = bpf_tc_hook_destroy(&hook);
	return err ? fail("cannot remove clsact", err) : 0;
}

/* A map of the attached program, by name; -1 = none. */
static int find_map(int prog, const char *name)
{
	__u32 ids[16], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 16, .map_ids = (__u64)(unsigned long)ids};

	if (bpf_obj_get_info_by_fd(prog, &info, &len))
		return -1;
	for (__u32 i = 0; i < info.nr_map_ids && i < 16; i++) {
		struct bpf_map_info m = {0};
		int fd = bpf_map_get_fd_by_id(ids[i]);

		len = sizeof(m);
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &m, &len) && !strcmp(m.name, name))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static __u64 read_counter(int map, __u32 what)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *v = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*v)), sum = 0;

	if (v && !bpf_map_lookup_elem(map, &what, v))
		for (int i = 0; i < cpus; i++)
			sum += v[i];
	free(v);
	return sum;
}

static int show(unsigned ifindex)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct lossy_config c = {0};
	__u32 zero = 0;
	int err = bpf_tc_query(&hook, &opts), prog, stats, config;

	if (err)
		return fail("not attached", err);
	prog = bpf_prog_get_fd_by_id(opts.prog_id);
	stats = find_map(prog, "lossy_stats");
	config = find_map(prog, "lossy_config");
	if (stats < 0 || config < 0 || bpf_map_lookup_elem(config, &zero, &c))
		return fail("cannot read the counters", -ENOENT);
	printf("loss %.3f%% reorder %.3f%% dup %.3f%%\n", (double)c.loss / 42949672.96,
	       (double)c.reorder / 42949672.96, (double)c.dup / 42949672.96);
#define X(name, text) printf("%-12s %10llu  %s\n", #name, read_counter(stats, LOSSY_##name), text);
	LOSSY_COUNTERS(X)
#undef X
	return 0;
}

int main(int argc, char **argv)
{
	struct lossy_config c = {0};
	unsigned ifindex;

	if (argc < 3 || !parse_config(argc - 2, argv + 2, &c)) {
		fputs(usage, stderr);
		return 2;
	}
	libbpf_set_print(silent);
	ifindex = if_nametoindex(argv[2]);
	if (!ifindex)
		return fail(argv[2], -errno);
	if (!strcmp(argv[1], "attach"))
		return attach(ifindex, &c);
	if (!strcmp(argv[1], "show"))
		return show(ifindex);
	if (!strcmp(argv[1], "detach"))
		return detach(ifindex);
	fputs(usage, stderr);
	return 2;
}
