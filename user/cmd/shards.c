/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/shards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cmd/wire_call.h"

#define RETIRE_TIMEOUT_MS 10000 /* dropping many blocks takes a store longer */

int nodes_load(struct cli *c, struct nodes *nodes)
{
	if (meta_node_list(c->meta, &nodes->node, &nodes->n))
		return cli_fail_meta(c);
	return 0;
}

void nodes_free(struct nodes *nodes)
{
	free(nodes->node);
	nodes->node = NULL;
}

const struct meta_node *nodes_find(const struct nodes *nodes, const char *name)
{
	for (size_t i = 0; i < nodes->n; i++)
		if (!strcmp(nodes->node[i].name, name))
			return &nodes->node[i];
	return NULL;
}

/* One request to one member of one shard. */
struct job {
	const struct meta_node *node;
	uint32_t shard; /* index in the volume */
	bool done;	/* answered with OK */
};

struct jobs {
	struct cli *c;
	const struct meta_volume *v;
	struct job *job;
	size_t n;
};

static int add_job(struct jobs *j, const struct nodes *nodes, const struct meta_member *m,
		   uint32_t shard)
{
	const struct meta_node *n = nodes_find(nodes, m->node);

	if (!n || !uuid_equal(&n->store, &m->store))
		return cli_fail(j->c,
				"volume %s lies on store %s of node %s, but the metadata %s; "
				"add that node again",
				j->v->name, cli_uuid(&m->store), m->node,
				n ? "has another store under that name"
				  : "does not know that node");
	j->job[j->n++] = (struct job){.node = n, .shard = shard};
	return 0;
}

static int jobs_make(struct jobs *j, struct cli *c, const struct nodes *nodes,
		     const struct meta_volume *v, uint32_t first)
{
	int err = 0;

	*j = (struct jobs){.c = c, .v = v};
	j->job = calloc((size_t)(v->nshards - first) * XBD_SLOTS + 1, sizeof(*j->job));
	if (!j->job)
		return cli_fail(c, "out of memory");
	for (uint32_t s = first; s < v->nshards && !err; s++) {
		for (uint32_t i = 0; i < v->shards[s].n && !err; i++)
			err = add_job(j, nodes, &v->shards[s].member[i], s);
		if (v->witness.node[0] && !err)
			err = add_job(j, nodes, &v->witness, s);
	}
	if (err)
		free(j->job);
	return err;
}

static void set_addr(struct wire_call *call, const struct meta_node *n)
{
	/* the record was checked when it was read */
	XBD_ASSERT(!text_addr(n->addr, XBD_PORT, &call->addr, NULL, NULL, 0));
}

static int job_fail(const struct jobs *j, const struct meta_node *n, const struct wire_call *call)
{
	if (!call->err && call->answer == XBD_T_RETIRED && call->status == XBD_S_BUSY)
		return cli_fail(j->c,
				"volume %s is in use: node %s says that the lease of an export is "
				"running; stop that export first",
				j->v->name, n->name);
	/* an empty shard takes no data slots: it is the store's table of shards that is full */
	if (!call->err && call->answer == XBD_T_CREATED && call->status == XBD_S_NOSPACE)
		return cli_fail(j->c,
				"node %s (%s) has no room for more shards: deleted ones count too; "
				"a store gets more by \"xbd node init --shards-max\"",
				n->name, n->addr);
	return cli_fail(j->c, "node %s (%s) %s%s", n->name, n->addr,
			call->err ? "" : "says: ", wire_error(call));
}

static bool nobody_there(const struct wire_call *call)
{
	return call->err == -ETIMEDOUT || call->err == -ECONNREFUSED;
}

/*
 * Send all jobs, WIRE_CALLS_MAX at a time; `retire` or create. Stops at the first batch with a
 * failure, whose first one is reported.
 */
static int jobs_run(struct jobs *j, bool retire, bool force)
{
	struct wire_call calls[WIRE_CALLS_MAX];
	struct xbd_record rec[WIRE_CALLS_MAX];
	int err = 0;

	for (size_t at = 0, n; at < j->n && !err; at += n) {
		n = j->n - at < WIRE_CALLS_MAX ? j->n - at : WIRE_CALLS_MAX;
		for (size_t i = 0; i < n; i++) {
			const struct job *job = &j->job[at + i];

			calls[i] = (struct wire_call){
				.send.type = retire ? XBD_T_RETIRE : XBD_T_CREATE,
				.send.shard = j->v->shards[job->shard].id,
				.answer = retire ? XBD_T_RETIRED : XBD_T_CREATED,
			};
			set_addr(&calls[i], job->node);
			if (retire)
				continue;
			meta_shard_record(j->v, job->shard, &rec[i]);
			calls[i].send.body = &rec[i];
			calls[i].send.body_len = sizeof(rec[i]);
		}
		wire_run(calls, (unsigned)n, retire ? RETIRE_TIMEOUT_MS : WIRE_TIMEOUT_MS);
		for (size_t i = 0; i < n; i++) {
			j->job[at + i].done = !calls[i].err && calls[i].status == XBD_S_OK;
			if (j->job[at + i].done || err || (force && nobody_there(&calls[i])))
				continue;
			err = job_fail(j, j->job[at + i].node, &calls[i]);
		}
	}
	return err;
}

/* Take back what was created: only what this call made, never what was there before. */
static void undo(struct jobs *j)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->n; i++)
		if (j->job[i].done)
			j->job[kept++] = j->job[i];
	j->n = kept;
	jobs_run(j, true, true);
	for (size_t i = 0; i < kept; i++)
		if (!j->job[i].done)
			cli_note("shard %u stays behind on node %s",
				 j->v->shards[j->job[i].shard].id, j->job[i].node->name);
}

int shards_create(struct cli *c, const struct nodes *nodes, const struct meta_volume *v,
		  uint32_t first)
{
	struct jobs j;
	int err = jobs_make(&j, c, nodes, v, first);

	if (err)
		return err;
	err = jobs_run(&j, false, false);
	if (err)
		undo(&j);
	free(j.job);
	return err;
}

int shards_retire(struct cli *c, const struct nodes *nodes, const struct meta_volume *v,
		  uint32_t first, bool force)
{
	struct jobs j;
	int err = jobs_make(&j, c, nodes, v, first);

	if (err)
		return err;
	err = jobs_run(&j, true, force);
	free(j.job);
	return err;
}

/* Nodes of the jobs, each once. */
static unsigned distinct(const struct jobs *j, const struct meta_node **out, unsigned max)
{
	unsigned n = 0, i;

	for (size_t k = 0; k < j->n; k++) {
		for (i = 0; i < n && out[i] != j->job[k].node; i++)
			;
		if (i == n && n < max)
			out[n++] = j->job[k].node;
	}
	return n;
}

static int check_node(struct jobs *j, const struct meta_node *n, const struct wire_call *call,
		      bool force)
{
	if (force && nobody_there(call)) {
		cli_note("node %s (%s) does not answer: what it holds of volume %s stays there",
			 n->name, n->addr, j->v->name);
		return 0;
	}
	if (call->err)
		return job_fail(j, n, call);
	if (!uuid_equal(&call->info.store, &n->store))
		return cli_fail(j->c,
				"node %s (%s) has store %s now, the metadata says %s: was its disk "
				"replaced, or the address given to another node?",
				n->name, n->addr, cli_uuid(&call->info.store), cli_uuid(&n->store));
	if (call->info.flags & XBD_INFO_FAILED)
		return cli_fail(j->c, "node %s (%s) is out of service after a disk error", n->name,
				n->addr);
	return 0;
}

int shards_check_nodes(struct cli *c, const struct nodes *nodes, const struct meta_volume *v,
		       uint32_t first, bool force)
{
	const struct meta_node *each[WIRE_CALLS_MAX];
	struct wire_call calls[WIRE_CALLS_MAX];
	struct jobs j;
	int err = jobs_make(&j, c, nodes, v, first);
	unsigned n;

	if (err)
		return err;
	n = distinct(&j, each, WIRE_CALLS_MAX);
	for (unsigned i = 0; i < n; i++) {
		calls[i] = (struct wire_call){.send.type = XBD_T_INFO, .answer = XBD_T_INFO_R};
		set_addr(&calls[i], each[i]);
	}
	wire_run(calls, n, WIRE_TIMEOUT_MS);
	for (unsigned i = 0; i < n && !err; i++)
		err = check_node(&j, each[i], &calls[i], force);
	free(j.job);
	return err;
}
