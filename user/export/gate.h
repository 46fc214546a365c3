/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For exports that must not hang (on_no_quorum = "io-error"): requests to a shard without a
 * majority of replicas fail with -EIO once the volume has been without one for so long. The
 * coordinator knows nothing of it: it goes on with a copy of each request until it can finish it,
 * and holds the buffer meanwhile, so a write that failed here may still happen, as with any disk.
 */
#ifndef XBD_EXPORT_GATE_H
#define XBD_EXPORT_GATE_H

#include "coordinator/coordinator.h"

struct gate_req {
	struct co_req copy; /* first: found from it */
	struct gate *gate;
	struct co_req *orig; /* NULL: answered already */
	struct gate_req *prev, *next;
};

struct gate {
	struct co *co;
	uint64_t shard_bytes;
	uint64_t patience_ns;
	uint64_t since_ns; /* not serving since then; 0 = serving */
	bool shut;
	struct gate_req *reqs, *free;
	struct gate_req waiting; /* ring of requests at the coordinator, oldest first */
	struct co_req *refused, **refused_tail;
};

/* reqs_max: requests watched at once; more are passed on and just wait. 0 or -ENOMEM. */
int gate_init(struct gate *g, struct co *co, uint64_t shard_bytes, uint64_t patience_ms,
	      uint32_t reqs_max);
void gate_free(struct gate *g);
void gate_submit(struct gate *g, uint64_t now_ns, struct co_req *req);
/* The volume serves, or does not (any more). */
void gate_serving(struct gate *g, uint64_t now_ns, bool serving);
/* Ends requests whose time has come. Never from inside gate_submit. */
void gate_tick(struct gate *g, uint64_t now_ns);
/* When gate_tick must be called next; UINT64_MAX = never, 0 = now. */
uint64_t gate_deadline(const struct gate *g);

#endif
