/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "cmd/cli.h"
#include "cmd/daemons.h"
#include "cmd/out.h"
#include "cmd/warn.h"

static bool of_kind(const json_t *d, const char *kind)
{
	return !strcmp(daemon_text(d, "kind"), kind);
}

/* "node1 synced, node2 lagging (12)": per node the worst state and the sum of regions to go. */
static void replicas_text(const json_t *answer, char *buf, size_t size)
{
	json_t *worst = json_object();
	const json_t *shard, *r;
	const char *node;
	json_t *v;
	size_t i, k, at = 0;

	json_array_foreach(json_object_get(answer, "shards"), i, shard)
	{
		json_array_foreach(json_object_get(shard, "replicas"), k, r)
		{
			const char *state = daemon_text(r, "state");

			node = daemon_text(r, "node");
			v = json_object_get(worst, node);
			if (!v || warn_badness(state) > warn_badness(json_string_value(v)))
				json_object_set_new(worst, node, json_string(state));
		}
	}
	buf[0] = 0;
	json_object_foreach(worst, node, v)
	{
		int n = snprintf(buf + at, size - at, "%s%s %s", at ? ", " : "", node,
				 json_string_value(v));

		if (n < 0 || (size_t)n >= size - at)
			break;
		at += (size_t)n;
	}
	json_decref(worst);
}

/* Lowest and highest epoch of the shards. */
static void epoch_text(const json_t *answer, char *buf, size_t size)
{
	long long low = 0, high = 0;
	const json_t *shard;
	size_t i;

	json_array_foreach(json_object_get(answer, "shards"), i, shard)
	{
		long long e = daemon_number(shard, "epoch");

		low = !i || e < low ? e : low;
		high = e > high ? e : high;
	}
	snprintf(buf, size, low == high ? "%lld" : "%lld-%lld", low, high);
}

static const json_t *net_of(const json_t *answer)
{
	return json_object_get(answer, "net");
}

static void export_row(struct out *o, const json_t *d)
{
	const json_t *answer = json_object_get(d, "answer");
	const json_t *volume = json_object_get(answer, "volume");
	char text[1024];

	out_cell(o, "%s", daemon_text(d, "name"));
	if (!answer) {
		out_cell(o, "no answer");
		for (int i = 0; i < 5; i++)
			out_cell(o, "%s", "");
		return;
	}
	out_cell(o, "%s", warn_phase(answer));
	epoch_text(answer, text, sizeof(text));
	out_cell(o, "%s", text);
	out_cell(o, "%s", cli_size((uint64_t)daemon_number(volume, "size")));
	out_cell(o, "%lld", daemon_number(answer, "clients"));
	out_cell(o, "%s", daemon_text(net_of(answer), "mode"));
	replicas_text(answer, text, sizeof(text));
	out_cell(o, "%s", text);
}

static void node_row(struct out *o, const json_t *d)
{
	const json_t *answer = json_object_get(d, "answer");
	const json_t *s = json_object_get(answer, "store");
	uint64_t slots = (uint64_t)daemon_number(s, "slots");
	uint64_t used = slots - (uint64_t)daemon_number(s, "slots_free");

	out_cell(o, "%s", daemon_text(d, "name"));
	if (!answer) {
		out_cell(o, "no answer");
		for (int i = 0; i < 6; i++)
			out_cell(o, "%s", "");
		return;
	}
	out_cell(o, "%s", daemon_true(s, "failed") ? "failed" : "running");
	out_cell(o, "%s", daemon_text(answer, "listen"));
	out_cell(o, "%s", daemon_text(net_of(answer), "mode"));
	out_cell(o, "%s", cli_size(used * XBD_BLOCK_SIZE));
	out_cell(o, "%s", cli_size(slots * XBD_BLOCK_SIZE));
	out_cell(o, "%lld", daemon_number(s, "shards"));
	out_cell(o, "%s", daemon_text(s, "uuid"));
}

static unsigned print_tables(const json_t *daemons)
{
	static const char *const export_heads[] = {"EXPORT",   "STATE", ">EPOCH",   ">SIZE",
						   ">CLIENTS", "MODE",	"REPLICAS", NULL};
	static const char *const node_heads[] = {"NODE",  "STATE",   "ADDRESS", "MODE", ">USED",
						 ">SIZE", ">SHARDS", "STORE",	NULL};
	struct out *exports = out_new(export_heads), *nodes = out_new(node_heads);
	unsigned nexports = 0, nnodes = 0;
	const json_t *d;
	size_t i;

	json_array_foreach(daemons, i, d)
	{
		if (of_kind(d, "export")) {
			export_row(exports, d);
			nexports++;
		} else {
			node_row(nodes, d);
			nnodes++;
		}
	}
	out_print(exports, stdout);
	if (nexports && nnodes)
		putchar('\n');
	out_print(nodes, stdout);
	return nexports + nnodes;
}

/* A mode that the configuration names needs no explanation. */
static bool is_asked_for(const char *why)
{
	static const char end[] = "asked for";
	size_t len = strlen(why);

	return len >= sizeof(end) - 1 && !strcmp(why + len - sizeof(end) + 1, end);
}

/* Why a daemon's packets do not come in by a better way: not a fault, but worth knowing. */
static void print_notes(const json_t *daemons)
{
	const json_t *d;
	bool first = true;
	size_t i;

	json_array_foreach(daemons, i, d)
	{
		const char *why = daemon_text(net_of(json_object_get(d, "answer")), "why");

		if (!*why || is_asked_for(why))
			continue;
		printf("%s  %s %s: %s: %s\n", first ? "\nnotes:\n" : "", daemon_text(d, "kind"),
		       daemon_text(d, "name"),
		       daemon_text(net_of(json_object_get(d, "answer")), "mode"), why);
		first = false;
	}
}

static void print_warnings(const json_t *warnings)
{
	const json_t *w;
	size_t i;

	if (json_array_size(warnings))
		printf("\n%swarnings:%s\n", out_red(), out_plain());
	json_array_foreach(warnings, i, w)
	{
		printf("  %s %s: %s\n", daemon_text(w, "kind"), daemon_text(w, "name"),
		       daemon_text(w, "text"));
	}
}

static json_t *list_of(const json_t *daemons, const char *kind)
{
	json_t *list = json_array(), *d;
	size_t i;

	json_array_foreach((json_t *)daemons, i, d)
	{
		json_t *answer = json_object_get(d, "answer");

		if (of_kind(d, kind))
			json_array_append(list, answer ? answer : d);
	}
	return list;
}

static int print_json(const struct cli *c, const json_t *daemons, json_t *warnings)
{
	json_t *one = json_array_get(daemons, 0), *answer = json_object_get(one, "answer");

	if (c->line.nargs && json_array_size(daemons) == 1)
		return cli_json(json_incref(answer ? answer : one));
	return cli_json(json_pack("{s:o, s:o, s:O}", "exports", list_of(daemons, "export"), "nodes",
				  list_of(daemons, "node"), "warnings", warnings));
}

static int print_text(const struct cli *c, const json_t *daemons, const json_t *warnings)
{
	if (!print_tables(daemons))
		printf("no daemon of xbd has a control socket in %s\n", c->conf.run_dir);
	print_notes(daemons);
	print_warnings(warnings);
	return CMD_OK;
}

int cmd_status(struct cli *c)
{
	const char *problem, *name = c->line.arg[0];
	json_t *daemons = daemons_ask(c, "status", name, &problem), *warnings;
	int err;

	if (problem || (name && !json_array_size(daemons))) {
		json_decref(daemons);
		if (problem)
			return cli_fail(c, "cannot read %s: %s", c->conf.run_dir, problem);
		return cli_fail(c, "no node or export \"%s\" has a control socket in %s", name,
				c->conf.run_dir);
	}
	warnings = warn_all(daemons);
	err = c->line.json ? print_json(c, daemons, warnings) : print_text(c, daemons, warnings);
	if (!err && cmd_opt(&c->line, "check") && json_array_size(warnings))
		err = CMD_FAILED;
	json_decref(warnings);
	json_decref(daemons);
	return err;
}
