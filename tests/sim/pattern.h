/* SPDX-License-Identifier: BSD-2-Clause */
/* Content of blocks: every 8-byte word says whose it is and where in the block it lies. */
#ifndef SIM_PATTERN_H
#define SIM_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#define PATTERN_BLOCK	 4096u
#define PATTERN_CELL_MIN 24u /* bytes; a whole aligned word lies within any run that long */

/* Bytes [from, to) of the block at `block` become those of write `id` (1 .. 2^48 - 1). */
void pattern_fill(uint8_t *block, uint64_t id, uint32_t from, uint32_t to);
/* Which write are these bytes of? 0 = zeroes. False: of no single one. */
bool pattern_find(const uint8_t *block, uint32_t from, uint32_t to, uint64_t *id);

#endif
