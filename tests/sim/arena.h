/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of one seed: taken in pieces, given back all at once. */
#ifndef SIM_ARENA_H
#define SIM_ARENA_H

#include <stddef.h>

struct chunk;

struct arena {
	struct chunk *first, *cur;
};

/* 64-byte aligned, not cleared. Never NULL. */
void *arena_get(struct arena *a, size_t len);
void *arena_zero(struct arena *a, size_t len);
/* Forget everything; the memory stays for the next seed. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
