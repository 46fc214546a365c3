/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory for tests and the simulator: completions in any order under a seeded prng,
 * power cuts that lose, reorder and tear what was not yet durable, errors on demand.
 *
 * Nothing happens by itself: ops wait until fakedisk_step (one op) or fakedisk_run (all).
 * Not volatile: a write is durable when its done is called. Volatile: when it had FUA, or when a
 * flush submitted after its done is done. A write in flight or not durable at a crash may survive
 * whole, in any of its 512-byte sectors, or not at all.
 */
#ifndef XBD_TEST_FAKEDISK_H
#define XBD_TEST_FAKEDISK_H

#include <stdbool.h>
#include <stdint.h>

#include "store/disk.h"

#define FAKEDISK_SECTOR 512u

struct fakedisk;

/* Which op in flight ends next: any; the oldest; mostly one of the newest, so that some starve. */
enum fakedisk_order { FAKEDISK_RANDOM, FAKEDISK_IN_ORDER, FAKEDISK_NEWEST };

struct fakedisk_opts {
	uint64_t size;
	uint64_t seed;
	bool volatile_cache, discard;
	uint8_t order; /* enum fakedisk_order */
};

struct fakedisk_stats {
	uint64_t ops, reads, writes, flushes, discards, read_bytes, write_bytes;
	uint64_t crashes, torn, lost, errors;
};

/* NULL = no memory. Contents are zeroes; memory is taken per 4 KiB written. */
struct fakedisk *fakedisk_new(const struct fakedisk_opts *opts);
void fakedisk_free(struct fakedisk *fd);
struct disk *fakedisk_get(struct fakedisk *fd);

/* Complete one op; false = none in flight, or all are held. */
bool fakedisk_step(struct fakedisk *fd);
/* Complete one of the ops of this kind (enum disk_kind); false = none in flight. */
bool fakedisk_step_kind(struct fakedisk *fd, uint8_t kind);
void fakedisk_run(struct fakedisk *fd);
unsigned fakedisk_inflight(const struct fakedisk *fd);

/* Power cut: ops in flight are forgotten (their done is never called). */
void fakedisk_crash(struct fakedisk *fd);

/*
 * The `nth` op completed from now on (1 = next) of the kinds in `kinds` (bit per enum disk_kind)
 * fails with err; a failed write leaves any of its sectors behind. sticky: all later ones too.
 */
void fakedisk_fail(struct fakedisk *fd, uint64_t nth, unsigned kinds, int err, bool sticky);
/* Reads of this range fail until it is written; len 0 = none. */
void fakedisk_bad_range(struct fakedisk *fd, uint64_t offset, uint64_t len);
/* Ops that touch this range do not end; len 0 = none. */
void fakedisk_hold(struct fakedisk *fd, uint64_t offset, uint64_t len);
/* Flip bits in a durable range. */
void fakedisk_rot(struct fakedisk *fd, uint64_t offset, uint64_t len);
/* Direct access to what a reader would see, for checkers; range within a 4 KiB page. */
void fakedisk_peek(const struct fakedisk *fd, uint64_t offset, uint64_t len, void *buf);

const struct fakedisk_stats *fakedisk_stats(const struct fakedisk *fd);
/* The prng of the disk. */
uint64_t fakedisk_rand(uint64_t *state);

#endif
