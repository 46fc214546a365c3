/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "proto/wire.h"

uint32_t crc32c(uint32_t crc, const void *buf, size_t len)
{
	/* isa-l leaves the two inversions of the standard CRC to its caller */
	return ~crc32_iscsi((unsigned char *)buf, (int)len, ~crc);
}

uint32_t crc32c_seed(uint32_t shard, uint32_t block, uint64_t ver)
{
	struct {
		uint64_t ver;
		uint32_t shard, block;
	} place = {ver, shard, block};

	return crc32c(0, &place, sizeof(place));
}

uint32_t crc32c_block(uint32_t shard, uint32_t block, uint64_t ver, const void *data)
{
	uint32_t crc = crc32c(crc32c_seed(shard, block, ver), data, XBD_BLOCK_SIZE);

	return crc ? crc : 1;
}
