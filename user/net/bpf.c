/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "base/assert.h"
#include "base/error.h"
#include "net/text.h"
#include "xdp_node.skel.h"

#define FENCE_BYTES (XBD_SHARDS_MAX * sizeof(struct xbd_fence))
#define PIN_PATH    512

struct xprog {
	struct xdp_node *skel;
	struct xbd_fence *fence; /* shared with the program */
	unsigned ifindex;
	int link_fd;			/* -1 = not attached by link */
	struct xdp_program *dispatched; /* NULL = not attached by dispatcher */
	enum xdp_attach_mode mode;
	char pins[PIN_PATH]; /* directory, "" = none */
	unsigned ncpu;
	uint64_t *per_cpu;
};

/* libbpf and libxdp write to stderr unless told otherwise. */
static int silent_bpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static int silent_xdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static int load_failed(int err, char *why)
{
	if (err == -EPERM || err == -EACCES)
		snprintf(why, NET_WHY,
			 "no permission to load the XDP program: CAP_BPF and CAP_NET_ADMIN needed");
	else
		snprintf(why, NET_WHY, "the kernel does not take the XDP program: %s",
			 xbd_strerror(err));
	return err;
}

static int map_fence(struct xprog *x)
{
	void *p = mmap(NULL, FENCE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(x->skel->maps.fence), 0);

	if (p == MAP_FAILED)
		return -errno;
	x->fence = p;
	return 0;
}

static int load(struct xprog *x)
{
	int cpus = libbpf_num_possible_cpus(), err;

	if (cpus < 0)
		return cpus;
	x->ncpu = (unsigned)cpus;
	x->per_cpu = calloc(x->ncpu, sizeof(*x->per_cpu));
	x->skel = xdp_node__open();
	if (!x->per_cpu || !x->skel)
		return x->skel ? -ENOMEM : -errno;
	err = xdp_node__load(x->skel);
	return err ? err : map_fence(x);
}

int xprog_load(struct xprog **out, char *why)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct xprog *x = calloc(1, sizeof(*x));
	int err;

	if (!x)
		return -ENOMEM;
	libbpf_set_print(silent_bpf);
	libxdp_set_print(silent_xdp);
	/* refused without CAP_SYS_RESOURCE; only old kernels or missing CAP_IPC_LOCK need it */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	x->link_fd = -1;
	err = load(x);
	if (err) {
		load_failed(err, why);
		xprog_close(x);
		return err;
	}
	*out = x;
	return 0;
}

static const char *const pinned_maps[] = {"config", "fence", "stats"};
#define PINNED (sizeof(pinned_maps) / sizeof(pinned_maps[0]))

static void pin_path(char *path, const char *dir, const char *map)
{
	snprintf(path, PIN_PATH, "%.480s/v%u_%s", dir, XBD_MAPS_LAYOUT, map);
}

static void unpin(struct xprog *x)
{
	char path[PIN_PATH];

	if (!x->pins[0])
		return;
	for (unsigned i = 0; i < PINNED; i++) {
		pin_path(path, x->pins, pinned_maps[i]);
		(void)unlink(path);
	}
	(void)rmdir(x->pins);
	x->pins[0] = 0;
}

int xprog_pin(struct xprog *x, const char *dir)
{
	char path[PIN_PATH];
	int err = 0;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	snprintf(x->pins, sizeof(x->pins), "%s", dir);
	for (unsigned i = 0; i < PINNED && !err; i++) {
		pin_path(path, dir, pinned_maps[i]);
		(void)unlink(path); /* of a process that was killed */
		err = bpf_obj_pin(bpf_object__find_map_fd_by_name(x->skel->obj, pinned_maps[i]),
				  path);
	}
	if (err)
		unpin(x);
	return err;
}

static void unload(struct xprog *x)
{
	if (x->fence)
		munmap(x->fence, FENCE_BYTES);
	x->fence = NULL;
	xdp_node__destroy(x->skel);
	x->skel = NULL;
}

void xprog_close(struct xprog *x)
{
	if (!x)
		return;
	xprog_detach(x);
	unpin(x);
	unload(x);
	free(x->per_cpu);
	free(x);
}

int xprog_configure(struct xprog *x, const struct xbd_xdp_config *cfg)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(x->skel->maps.config), &zero, cfg, BPF_ANY);
}

int xprog_add_local(struct xprog *x, const struct xbd_address *a)
{
	uint32_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(x->skel->maps.local), a, &one, BPF_ANY);
}

int xprog_set_keys(struct xprog *x, const struct xbd_keyring *kr)
{
	int err = 0;

	for (uint32_t id = 0; id < XBD_KEYS && !err; id++) {
		struct xbd_key_entry e = {.key = kr->key[id], .live = kr->live >> id & 1};

		err = bpf_map_update_elem(bpf_map__fd(x->skel->maps.keys), &id, &e, BPF_ANY);
	}
	return err;
}

/* Somebody else's program holds the interface and shares it with nobody. */
static int occupied(const struct iface *iface, uint32_t prog_id, char *why)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd >= 0) {
		(void)bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
	}
	if (!strcmp(info.name, "xdp_node"))
		snprintf(why, NET_WHY, "%s is used by another xbd daemon's XDP program",
			 iface->name);
	else
		snprintf(why, NET_WHY, "another XDP program (%s, id %u) is attached to %s",
			 info.name[0] ? info.name : "unnamed", prog_id, iface->name);
	return -EBUSY;
}

static bool is_dispatcher(struct xprog *x, unsigned ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	bool yes;

	if (libxdp_get_error(mp))
		return false;
	yes = !xdp_multiprog__is_legacy(mp);
	x->mode = xdp_multiprog__attach_mode(mp);
	xdp_multiprog__close(mp);
	return yes;
}

/*
 * A member of a dispatcher is a program of another type: libxdp loads it itself, with new maps.
 * They hold nothing yet: addresses, keys and sockets are set after attaching.
 */
static int join_dispatcher(struct xprog *x)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = "xdp_node");
	struct xdp_program *p;
	int err;

	unload(x);
	x->skel = xdp_node__open();
	if (!x->skel)
		return -errno;
	opts.obj = x->skel->obj;
	p = xdp_program__create(&opts);
	if (libxdp_get_error(p))
		return (int)libxdp_get_error(p);
	err = xdp_program__attach(p, (int)x->ifindex, x->mode, 0);
	if (err) {
		xdp_program__close(p);
		return err;
	}
	x->dispatched = p;
	return map_fence(x);
}

/* Next to other programs, if the one that is there is a dispatcher. */
static int attach_dispatched(struct xprog *x, const struct iface *iface, uint32_t there, char *why)
{
	int err;

	if (!is_dispatcher(x, iface->index))
		return occupied(iface, there, why);
	err = join_dispatcher(x);
	if (err)
		snprintf(why, NET_WHY,
			 "cannot join the XDP programs on %s: %s (the kernel must allow freplace)",
			 iface->name, xbd_strerror(err));
	/* nothing else can be attached while they are there */
	return err ? -EBUSY : 0;
}

int xprog_attach(struct xprog *x, const struct iface *iface, bool native, char *why)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	uint32_t there = 0;
	int fd;

	XBD_ASSERT(x->link_fd < 0 && !x->dispatched);
	x->ifindex = iface->index;
	if (!bpf_xdp_query_id((int)iface->index, 0, &there) && there)
		return attach_dispatched(x, iface, there, why);
	fd = bpf_link_create(bpf_program__fd(x->skel->progs.xdp_node), (int)iface->index, BPF_XDP,
			     &opts);
	if (fd < 0) {
		snprintf(why, NET_WHY, "%s XDP on %s: %s", native ? "native" : "generic",
			 iface->name, xbd_strerror(fd));
		return fd;
	}
	x->link_fd = fd;
	return 0;
}

void xprog_detach(struct xprog *x)
{
	if (x->link_fd >= 0) {
		(void)bpf_link_detach(x->link_fd);
		close(x->link_fd);
		x->link_fd = -1;
	}
	if (x->dispatched) {
		(void)xdp_program__detach(x->dispatched, (int)x->ifindex, x->mode, 0);
		xdp_program__close(x->dispatched);
		x->dispatched = NULL;
	}
}

bool xprog_dispatched(const struct xprog *x)
{
	return x->dispatched != NULL;
}

int xprog_set_socket(struct xprog *x, uint32_t queue, int fd)
{
	return bpf_map_update_elem(bpf_map__fd(x->skel->maps.xsks), &queue, &fd, BPF_ANY);
}

void xprog_fence(struct xprog *x, uint32_t shard, uint32_t epoch)
{
	uint32_t *at;

	XBD_ASSERT(shard < XBD_SHARDS_MAX);
	at = &x->fence[shard].epoch;
	if (epoch > *at)
		__atomic_store_n(at, epoch, __ATOMIC_RELEASE);
}

void xprog_counters(const struct xprog *x, uint64_t *out)
{
	int fd = bpf_map__fd(x->skel->maps.stats);

	for (uint32_t v = 0; v < XBD_V_END; v++) {
		if (bpf_map_lookup_elem(fd, &v, x->per_cpu))
			continue;
		for (unsigned i = 0; i < x->ncpu; i++)
			out[v] += x->per_cpu[i];
	}
}
