/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC32C (Castagnoli) by isa-l, and the seed that ties a block's checksum to its place and version:
 * the same value travels on the wire, lies in the store's table and is checked by every reader.
 */
#ifndef XBD_CRC32C_H
#define XBD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC32C of `len` bytes, continuing from `crc` (0 to start). */
uint32_t crc32c(uint32_t crc, const void *buf, size_t len);

/* Start value for the content of one block. */
uint32_t crc32c_seed(uint32_t shard, uint32_t block, uint64_t ver);

/* crc32c(crc32c_seed(...), data, XBD_BLOCK_SIZE). Never 0: 0 is stored as 1 (0 means "zeroes"). */
uint32_t crc32c_block(uint32_t shard, uint32_t block, uint64_t ver, const void *data);

#endif
