/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator: one cluster of real state machines on a virtual clock.
 *
 * Hosts 0..n-1 are storage nodes by replica slot, HOST_WITNESS the witness, HOST_CO0.. the
 * addresses that coordinators run on. One thread, one calendar, all chance from the seed: a seed
 * and its options replay exactly. The machines see their host's clock (offset and drift), virtual
 * time is nanoseconds since the start of the seed.
 */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "arena.h"
#include "checker.h"
#include "coordinator/coordinator.h"
#include "event.h"
#include "options.h"
#include "prng.h"
#include "replica/replica.h"

#define NODES_MAX     6u
#define HOST_WITNESS  XBD_SLOT_WITNESS
#define HOST_CO0      8u
#define COS_MAX	      6u /* addresses of coordinators */
#define HOSTS_MAX     (HOST_CO0 + COS_MAX)
#define SHARDS_MAX    2u
#define INSTANCES_MAX CHECKER_INSTANCES /* coordinators ever started in a seed */
#define MS	      1000000ull
#define US	      1000ull
#define NEVER	      UINT64_MAX
#define EVENTS_MAX    4000000u

struct sim;
struct mdisk;
struct packet;

/* Totals for the summary. X(name, text) */
#define SIM_TOTALS(X)                                                                              \
	X(events, "events")                                                                        \
	X(ops, "client ops")                                                                       \
	X(opens, "opens")                                                                          \
	X(crashes, "crashes")                                                                      \
	X(losses, "disk losses")                                                                   \
	X(corruptions, "corruptions")                                                              \
	X(reads, "reads checked")                                                                  \
	X(writes, "writes completed")                                                              \
	X(fenced, "fenced")                                                                        \
	X(swaps, "replaced disks recorded")

struct totals {
#define X(name, text) uint64_t name;
	SIM_TOTALS(X)
#undef X
};

struct host {
	struct sim *sim;
	uint8_t id;
	bool alive;
	uint32_t gen;	       /* incarnation: raised by every start and stop */
	uint64_t offset;       /* of its clock, ns */
	int32_t ppm;	       /* its clock runs faster by */
	uint64_t paused_until; /* virtual */
	uint64_t tick_at;      /* virtual time of the calendar's valid EV_TICK; NEVER = none */
	uint32_t tick_gen;
	bool turn_set;

	/* storage node */
	struct replica *rep;
	struct store *store;
	struct mdisk *disk; /* survives crashes */
	uint32_t fence[SHARDS_MAX];
	uint32_t slow; /* factor of its disk's times */
	uint64_t up_at;

	/* coordinator */
	struct co *co;
	uint32_t inst; /* instance number */
	uint32_t inflight;
	bool dying; /* fenced: goes away when its requests are answered */
	uint64_t served_at;
};

struct sim {
	struct options opt;
	uint64_t seed, now;
	enum scenario scenario;
	struct prng net, fault, work;
	struct calendar cal;
	struct arena arena;
	struct totals total;
	struct host host[HOSTS_MAX];
	uint64_t blocked[HOSTS_MAX]; /* bit d: packets from here to d are lost */
	uint32_t frag_len[HOSTS_MAX][HOSTS_MAX];
	uint32_t flying; /* packets in the network */
	struct packet *free_small, *free_big;
	struct mop *free_mops;
	uint32_t shard_id[SHARDS_MAX];
	uint32_t shard_base[SHARDS_MAX]; /* volume block of the shard's first block */
	uint32_t shard_blocks[SHARDS_MAX];
	uint32_t first_block;  /* volume block of the first block clients touch */
	struct xbd_record rec; /* of the catalogue */
	uint32_t uuids;	       /* store UUIDs given out */
	uint32_t instances;
	uint32_t ops_left;
	bool liveness;
	uint64_t quiet_at; /* end of the first phase */
	bool trace;
	struct checker chk;
	struct clients *clients;
	struct audit *audit;
	struct atlas *atlas;
	jmp_buf failed;
	char why[512];
};

/* Ends the seed with a violation. */
_Noreturn void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The simulator running now: for assertion failures. */
extern struct sim *sim_current;

#define TRACE(s, ...)                                                                              \
	do {                                                                                       \
		if (__builtin_expect((s)->trace, 0))                                               \
			sim_trace((s), __VA_ARGS__);                                               \
	} while (0)
void sim_trace(const struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* run.c: everything kept between seeds; run one seed. False = violation, s->why says which. */
struct sim *sim_new(void);
void sim_free(struct sim *s);
bool sim_run(struct sim *s, uint64_t seed, enum scenario sc, const struct options *fixed);

/* host.c: clocks, pauses, turns. */
void sim_at(struct sim *s, uint64_t at, enum event_kind kind, uint8_t host, uint32_t gen,
	    uint32_t arg, void *ptr);
void sim_after(struct sim *s, uint64_t delay, enum event_kind kind, uint8_t host, uint32_t gen,
	       uint32_t arg, void *ptr);
uint64_t host_now(const struct host *h);
void host_init(struct sim *s, uint8_t id);
/* An event was handled: the turn ends soon, the deadline may be another. */
void host_touch(struct host *h);
/* True: the host sleeps, the event comes again when it wakes. */
bool host_asleep(struct host *h, const struct event *ev);
void host_tick(struct host *h, const struct event *ev);
void host_turn(struct host *h, const struct event *ev);
void host_stop(struct host *h);

/* node.c */
void node_boot(struct host *h);
void node_crash(struct host *h);
void node_packet(struct host *h, const struct xbd_msg *m);
uint64_t node_deadline(const struct host *h);
void node_event(struct host *h, bool turn);
bool is_node(uint8_t host);

/* cohost.c */
struct host *cohost_start(struct sim *s);
void cohost_kill(struct host *h, const char *why);
void cohost_packet(struct host *h, uint8_t from, const struct xbd_msg *m);
uint64_t cohost_deadline(const struct host *h);
void cohost_turn(struct host *h);
/* Living coordinators; *any = one of them by chance. */
uint32_t cohost_count(struct sim *s, struct host **any);

/* network.c */
void network_init(struct sim *s);
void network_send(struct sim *s, uint8_t from, uint64_t to_mask, const struct xbd_send *m);
void network_arrive(struct sim *s, const struct event *ev);

/* client.c */
void clients_init(struct sim *s);
void clients_free(struct sim *s);
void clients_act(struct host *h);
void clients_start(struct host *h);
/* The coordinator is gone: its requests will never be answered. */
void clients_lost(struct host *h);
/* Last phase: read and write everything through h. */
void clients_finale(struct host *h);
bool clients_done(const struct sim *s);

/* faults.c, atlas.c */
void faults_init(struct sim *s);
void faults_event(struct sim *s, const struct event *ev);
void faults_stop(struct sim *s);
/* May the copy of this block on that node rot, may that node's disk be lost? */
bool atlas_may_rot(struct sim *s, uint8_t node, uint32_t shard, uint32_t block);
bool atlas_may_lose(struct sim *s, uint8_t node);

/* audit.c: invariants seen from outside. */
void audit_init(struct sim *s);
void audit_content(struct sim *s, uint32_t shard, uint32_t block, uint64_t ver, uint32_t crc);
void audit_states(struct sim *s);
void audit_stores(struct sim *s);
/* Everything converged? NULL = yes, else what is missing. */
const char *audit_converged(struct sim *s, struct host *h);

/* create.c: the administrator. */
void create_init(struct sim *s);
void create_event(struct sim *s, const struct event *ev);

#endif
