/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backend in memory for tests: requests wait in a queue until memory_run, which completes them in
 * random order. Checks what the contract of struct co_req promises to a backend.
 */
#ifndef XBD_TEST_NBD_MEMORY_H
#define XBD_TEST_NBD_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/request.h"

struct memory {
	uint8_t *data;	/* size, rounded up to whole blocks */
	uint8_t *state; /* per block: CO_MAP_* */
	uint64_t size;
	struct co_req **queue;	/* not completed */
	struct co_req **linger; /* completed WRITEs whose buffer is still held */
	size_t n, max, nlinger;
	uint64_t seed;
	bool reorder, slow_release;
	/* Requests that touch this range fail with `fail_res`. */
	uint64_t fail_from, fail_to;
	int fail_res;
	uint64_t by_kind[CO_MAP + 1];
};

int memory_init(struct memory *m, uint64_t size, size_t queue_max);
void memory_free(struct memory *m);
void memory_submit(void *ctx, struct co_req *req);
/* Complete up to `count` requests. Returns how many. */
size_t memory_run(struct memory *m, size_t count);
/* Drop the buffers of completed WRITEs that are still held. */
void memory_release(struct memory *m);
uint64_t memory_random(struct memory *m);

#endif
