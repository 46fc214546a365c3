/* SPDX-License-Identifier: BSD-2-Clause */
/* A store on a fake disk, driven to completion: what all store tests share. */
#ifndef XBD_TEST_RIG_H
#define XBD_TEST_RIG_H

#include <string.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "fakedisk.h"
#include "store/store.h"

struct rig {
	struct fakedisk *fd;
	struct store *st;
	int err; /* of format, open, close; 1 = not done */
};

struct rig_opts {
	struct fakedisk_opts disk;
	struct store_format_args format;
};

void rig_init(struct rig *rig, const struct rig_opts *opts); /* new disk, formatted, open */
void rig_free(struct rig *rig);
int rig_format(struct rig *rig, const struct store_format_args *args);
int rig_open(struct rig *rig);	  /* store_new + store_open */
int rig_close(struct rig *rig);	  /* store_close + store_free */
void rig_crash(struct rig *rig);  /* power cut and open again */
void rig_settle(struct rig *rig); /* until nothing is in flight */

/* Submit and wait; return op->res. */
int rig_do(struct rig *rig, struct store_op *op);
int rig_state(struct rig *rig, uint32_t shard, uint32_t prom);
int rig_drop(struct rig *rig, uint32_t shard, uint32_t prom);
/* Content is made from (shard, block, ver). */
int rig_write(struct rig *rig, uint32_t shard, uint32_t block, uint32_t count, uint64_t ver);
int rig_zero(struct rig *rig, uint32_t shard, uint32_t block, uint32_t count, uint64_t ver,
	     uint8_t flags);
int rig_repair(struct rig *rig, uint32_t shard, uint32_t block, uint64_t expect, uint64_t ver,
	       uint8_t flags, uint64_t *held);
/* Reads one block, checks its content against its version; returns res. */
int rig_read(struct rig *rig, uint32_t shard, uint32_t block, struct store_block *out);

void fill(uint8_t *buf, uint32_t shard, uint32_t block, uint64_t ver);
bool filled(const uint8_t *buf, uint32_t shard, uint32_t block, uint64_t ver);

#endif
