/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd_memserver --unix PATH [--tcp-port N] [--size BYTES] [--read-only] [--fast] [--slow-release]
 *               [--fail-from BYTES --fail-to BYTES] [--mem BYTES]
 *
 * NBD server with a backend in memory, for real clients. Completions come one turn later and in
 * random order, unless --fast. Prints "ready PORT", and its counters when it ends by SIGTERM.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/signals.h"
#include "memory.h"
#include "nbd/server.h"

static struct loop loop;
static struct memory memory;
static struct nbd_server *server;

static void run_backend(struct loop_hook *h)
{
	memory_run(&memory, memory.n);
	memory_release(&memory);
}

static bool backend_busy(struct loop_hook *h)
{
	return memory.n > 0;
}

static void ended(void *ctx)
{
	loop_stop(&loop);
}

static void on_signal(struct loop_signals *s, int signo)
{
	nbd_server_shutdown(server, ended, NULL);
}

static void print_counters(void)
{
	const struct nbd_counters *n = nbd_server_counters(server);

#define X(name, text)                                                                              \
	if (n->name)                                                                               \
		printf("%s %llu\n", #name, (unsigned long long)n->name);
	NBD_COUNTERS(X)
#undef X
	printf("enters %llu\nturns %llu\n", (unsigned long long)loop.stats.enters,
	       (unsigned long long)loop.stats.turns);
}

struct options {
	struct nbd_server_config cfg;
	struct sockaddr_storage addr;
	bool fast, slow_release;
	uint64_t fail_from, fail_to;
};

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{"unix", 1, NULL, 'u'},		{"tcp-port", 1, NULL, 't'},
		{"size", 1, NULL, 's'},		{"read-only", 0, NULL, 'r'},
		{"fast", 0, NULL, 'f'},		{"mem", 1, NULL, 'm'},
		{"fail-from", 1, NULL, 'F'},	{"fail-to", 1, NULL, 'T'},
		{"slow-release", 0, NULL, 'l'}, {NULL, 0, NULL, 0}};
	struct sockaddr_in *in = (struct sockaddr_in *)&o->addr;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (opt) {
		case 'u':
			o->cfg.unix_path = optarg;
			break;
		case 't':
			in->sin_port = htons((uint16_t)number);
			o->cfg.tcp = &o->addr;
			break;
		case 's':
			o->cfg.export.size = number;
			break;
		case 'r':
			o->cfg.export.read_only = true;
			break;
		case 'f':
			o->fast = true;
			break;
		case 'l':
			o->slow_release = true;
			break;
		case 'm':
			o->cfg.mem_bytes = number;
			break;
		case 'F':
			o->fail_from = number;
			break;
		case 'T':
			o->fail_to = number;
			break;
		default:
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o = {
		.cfg.export = {.name = "mem", .description = "memory for tests", .size = 64 << 20},
		.addr.ss_family = AF_INET};
	struct nbd_backend be = {&memory, memory_submit};
	struct loop_hook hook = {.fn = run_backend, .busy = backend_busy};
	struct loop_signals signals = {.fn = on_signal};
	char why[NBD_WHY];
	int err;

	((struct sockaddr_in *)&o.addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!parse(&o, argc, argv))
		return 2;
	if (loop_init(&loop, 256, 16) || memory_init(&memory, o.cfg.export.size, 65536) ||
	    loop_signals_start(&signals, &loop))
		return 1;
	memory.reorder = !o.fast;
	memory.slow_release = o.slow_release;
	memory.fail_from = o.fail_from;
	memory.fail_to = o.fail_to;
	memory.fail_res = -EIO;
	/* --fast: outcomes are there when the server's hook gathers the replies of the turn. */
	if (o.fast)
		loop_hook_add(&loop, &hook);
	err = nbd_server_open(&server, &loop, &o.cfg, &be, why);
	if (err) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (!o.fast)
		loop_hook_add(&loop, &hook);
	printf("ready %u\n", nbd_server_port(server));
	fflush(stdout);
	err = loop_run(&loop);
	print_counters();
	nbd_server_close(server);
	loop_hook_remove(&loop, &hook);
	loop_signals_stop(&signals);
	loop_free(&loop);
	memory_free(&memory);
	return err ? 1 : 0;
}
