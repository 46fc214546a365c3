/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/warn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/daemons.h"

#define SPACE_LOW_PERCENT 10

struct warn {
	json_t *list;
	const char *kind, *name;
};

static void add(struct warn *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct warn *w, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(w->list, json_pack("{s:s, s:s, s:s}", "kind", w->kind, "name",
						 w->name, "text", text));
}

static int rank(const char *const *words, const char *word)
{
	int i = 0;

	for (; words[i]; i++)
		if (!strcmp(words[i], word))
			return i;
	return i;
}

const char *warn_phase(const json_t *answer)
{
	static const char *const order[] = {"serving",	 "accepting", "resolving", "opening",
					    "suspended", "dead",      NULL};
	const json_t *shard;
	const char *worst = "serving";
	size_t i;

	json_array_foreach(json_object_get(answer, "shards"), i, shard)
	{
		const char *phase = daemon_text(shard, "phase");

		if (rank(order, phase) > rank(order, worst))
			worst = phase;
	}
	if (daemon_true(answer, "dead"))
		return "dead";
	if (!strcmp(worst, "serving") && !daemon_true(answer, "serving"))
		return "opening";
	return worst;
}

int warn_badness(const char *state)
{
	static const char *const order[] = {"synced", "lagging", "learner", "down", NULL};

	return rank(order, state);
}

static void phase(struct warn *w, const json_t *answer)
{
	const char *p = warn_phase(answer);

	if (!strcmp(p, "serving"))
		return;
	if (!strcmp(p, "dead"))
		add(w, "another host has taken over this volume: this export serves nothing any "
		       "more; stop it, or restart it to take the volume back");
	else if (!strcmp(p, "suspended"))
		add(w, "requests wait: no majority of the replicas can be reached; bring the nodes "
		       "that are down back");
	else
		add(w,
		    "requests wait until the volume is open (%s): this needs a majority of the "
		    "replicas of every shard",
		    p);
}

/* What is said about one node's replicas of all shards of an export. */
struct tally {
	const char *node;
	unsigned down, behind;
	long long lag;
};

static void tally(struct tally *t, const json_t *answer)
{
	const json_t *shard, *r;
	size_t i, k;

	json_array_foreach(json_object_get(answer, "shards"), i, shard)
	{
		json_array_foreach(json_object_get(shard, "replicas"), k, r)
		{
			int bad = warn_badness(daemon_text(r, "state"));

			if (strcmp(daemon_text(r, "node"), t->node))
				continue;
			t->down += bad >= 3;
			t->behind += bad == 1 || bad == 2;
			t->lag += daemon_number(r, "lag_regions");
		}
	}
}

static void node_replicas(struct warn *w, const json_t *answer, const char *node)
{
	struct tally t = {.node = node};

	tally(&t, answer);
	if (t.down)
		add(w,
		    "%u replica%s on node %s %s down: check that xbdd runs there and that the "
		    "network works; \"xbd node info %s\" asks it",
		    t.down, t.down == 1 ? "" : "s", node, t.down == 1 ? "is" : "are", node);
	if (t.behind)
		add(w,
		    "%u replica%s on node %s %s behind and being brought up to date (%lld regions "
		    "to go)",
		    t.behind, t.behind == 1 ? "" : "s", node, t.behind == 1 ? "is" : "are", t.lag);
}

/* Every node once, in order of appearance. */
static void replicas(struct warn *w, const json_t *answer)
{
	json_t *seen = json_object();
	const json_t *shard, *r;
	size_t i, k;

	json_array_foreach(json_object_get(answer, "shards"), i, shard)
	{
		json_array_foreach(json_object_get(shard, "replicas"), k, r)
		{
			const char *node = daemon_text(r, "node");

			if (json_object_get(seen, node))
				continue;
			json_object_set_new(seen, node, json_true());
			node_replicas(w, answer, node);
		}
	}
	json_decref(seen);
}

static void store(struct warn *w, const json_t *s)
{
	long long slots = daemon_number(s, "slots"), left = daemon_number(s, "slots_free");

	if (daemon_true(s, "failed"))
		add(w,
		    "out of service after a disk error (%s): replace the disk, format it and add "
		    "the node again",
		    daemon_text(s, "fail_text"));
	else if (slots > 0 && left * 100 / slots < SPACE_LOW_PERCENT)
		add(w, "the store is %lld %% full: add nodes or delete volumes before writes fail",
		    100 - left * 100 / slots);
}

static void daemon_warnings(struct warn *w, const json_t *d)
{
	const json_t *answer = json_object_get(d, "answer");
	const char *version = daemon_text(answer, "version");

	if (!answer) {
		add(w, "%s", daemon_text(d, "error"));
		return;
	}
	if (*version && strcmp(version, XBD_VERSION_TEXT))
		add(w, "runs version %s, this is %s: restart it to finish the update", version,
		    XBD_VERSION_TEXT);
	if (!strcmp(w->kind, "export")) {
		phase(w, answer);
		if (strcmp(warn_phase(answer), "dead"))
			replicas(w, answer);
	} else {
		store(w, json_object_get(answer, "store"));
	}
}

json_t *warn_all(const json_t *daemons)
{
	struct warn w = {.list = json_array()};
	const json_t *d;
	size_t i;

	json_array_foreach(daemons, i, d)
	{
		w.kind = daemon_text(d, "kind");
		w.name = daemon_text(d, "name");
		daemon_warnings(&w, d);
	}
	return w.list;
}
