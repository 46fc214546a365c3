/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "cmd/cli.h"
#include "cmd/daemons.h"
#include "coordinator/coordinator.h"
#include "io/loop.h"
#include "nbd/count.h"
#include "net/net.h"
#include "replica/replica.h"
#include "store/store.h"

struct row {
	const char *key, *text;
};

#define X(name, text) {#name, text},
static const struct row net_rows[] = {NET_COUNTERS(X){NULL}};
static const struct row store_rows[] = {STORE_COUNTERS(X){NULL}};
static const struct row replica_rows[] = {REPLICA_COUNTERS(X){NULL}};
static const struct row co_rows[] = {CO_COUNTERS(X){NULL}};
static const struct row loop_rows[] = {LOOP_COUNTERS(X){NULL}};
static const struct row nbd_rows[] = {NBD_COUNTERS(X){NULL}};
#undef X
#define X(name, what, text) {#name, text},
static const struct row verdict_rows[] = {XBD_VERDICTS(X){NULL}};
#undef X

/* Sections of an answer: its key, what it is, the texts of its counters. */
static const struct section {
	const char *key, *title;
	const struct row *rows;
} sections[] = {
	{"co", "coordinator", co_rows},
	{"nbd", "NBD", nbd_rows},
	{"replica", "replica", replica_rows},
	{"store", "store", store_rows},
	{"net", "network", net_rows},
	{"loop", "event loop", loop_rows},
	{NULL},
};

static const char *text_of(const struct row *rows, const char *key)
{
	for (; rows->key; rows++)
		if (!strcmp(rows->key, key))
			return rows->text;
	return ""; /* a daemon of another version: the key has to do */
}

/* All numbers of o that are not 0. Returns how many were printed. */
static unsigned print_numbers(const json_t *o, const struct row *rows, const char *title)
{
	unsigned n = 0;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v)
	{
		if (!json_is_integer(v) || !json_integer_value(v))
			continue;
		if (!n++)
			printf("\n%s\n", title);
		printf("%16lld  %-16s %s\n", (long long)json_integer_value(v), key,
		       text_of(rows, key));
	}
	return n;
}

/* How packets came in: the share that the XDP program gave to AF_XDP sockets. */
static void print_share(const json_t *net)
{
	long long xsk = daemon_number(net, "rx_xsk"), udp = daemon_number(net, "rx_udp");

	if (xsk + udp > 0)
		printf("%15.1f%%  %-16s packets steered by XDP to AF_XDP (mode %s)\n",
		       100.0 * (double)xsk / (double)(xsk + udp), "", daemon_text(net, "mode"));
}

static void print_daemon(const json_t *d)
{
	const json_t *answer = json_object_get(d, "answer"), *o;
	unsigned n = 0;

	printf("%s %s", daemon_text(d, "kind"), daemon_text(d, "name"));
	if (!answer) {
		printf(": no answer: %s\n", daemon_text(d, "error"));
		return;
	}
	printf(", up for %lld s\n", daemon_number(answer, "uptime_ms") / 1000);
	o = json_object_get(answer, "net");
	for (const struct section *s = sections; s->key; s++) {
		n += print_numbers(json_object_get(answer, s->key), s->rows, s->title);
		if (!strcmp(s->key, "net"))
			print_share(o);
	}
	n += print_numbers(json_object_get(o, "verdict"), verdict_rows,
			   "what became of packets, all");
	n += print_numbers(json_object_get(o, "verdict_xdp"), verdict_rows,
			   "what became of packets, in the XDP program");
	if (!n)
		puts("  all counters are zero");
}

static int print_json(const struct cli *c, const json_t *daemons)
{
	json_t *all, *d;
	size_t i;

	if (c->line.nargs && json_array_size(daemons) == 1) {
		d = json_array_get(daemons, 0);
		if (json_object_get(d, "answer"))
			d = json_object_get(d, "answer");
		return cli_json(json_incref(d));
	}
	all = json_object();
	json_object_set_new(all, "exports", json_array());
	json_object_set_new(all, "nodes", json_array());
	json_array_foreach((json_t *)daemons, i, d)
	{
		bool export = !strcmp(daemon_text(d, "kind"), "export");
		json_t *answer = json_object_get(d, "answer");

		json_array_append(json_object_get(all, export ? "exports" : "nodes"),
				  answer ? answer : d);
	}
	return cli_json(all);
}

/* Any daemon that does not answer makes the exit status 1: a script must not take it for zeroes. */
static int outcome(const json_t *daemons)
{
	const json_t *d;
	size_t i;

	json_array_foreach(daemons, i, d)
	{
		if (!json_object_get(d, "answer"))
			return CMD_FAILED;
	}
	return CMD_OK;
}

static void print_text(const struct cli *c, const json_t *daemons)
{
	const json_t *d;
	size_t i;

	if (!json_array_size(daemons))
		printf("no daemon of xbd has a control socket in %s\n", c->conf.run_dir);
	json_array_foreach(daemons, i, d)
	{
		if (i)
			putchar('\n');
		print_daemon(d);
	}
}

int cmd_stats(struct cli *c)
{
	const char *problem, *name = c->line.arg[0];
	json_t *daemons = daemons_ask(c, "stats", name, &problem);
	int err;

	if (problem) {
		err = cli_fail(c, "cannot read %s: %s", c->conf.run_dir, problem);
	} else if (name && !json_array_size(daemons)) {
		err = cli_fail(c, "no node or export \"%s\" has a control socket in %s", name,
			       c->conf.run_dir);
	} else {
		if (c->line.json)
			print_json(c, daemons);
		else
			print_text(c, daemons);
		err = outcome(daemons);
	}
	json_decref(daemons);
	return err;
}
