/* SPDX-License-Identifier: BSD-2-Clause */
#include "rig.h"

#include <stdlib.h>

#include "base/assert.h"

static uint8_t rig_buf[XBD_OP_BLOCKS * XBD_BLOCK_SIZE] __attribute__((aligned(4096)));
static uint32_t rig_crc[XBD_OP_BLOCKS];

void fill(uint8_t *buf, uint32_t shard, uint32_t block, uint64_t ver)
{
	uint64_t x = ver * 0x9e3779b97f4a7c15ull ^ (uint64_t)shard << 40 ^ block;
	uint64_t *p = (uint64_t *)buf;

	for (unsigned i = 0; i < XBD_BLOCK_SIZE / 8; i++)
		p[i] = x += 0x2545f4914f6cdd1dull;
}

bool filled(const uint8_t *buf, uint32_t shard, uint32_t block, uint64_t ver)
{
	uint64_t x = ver * 0x9e3779b97f4a7c15ull ^ (uint64_t)shard << 40 ^ block;
	const uint64_t *p = (const uint64_t *)buf;

	for (unsigned i = 0; i < XBD_BLOCK_SIZE / 8; i++)
		if (p[i] != (ver ? x += 0x2545f4914f6cdd1dull : 0))
			return false;
	return true;
}

static void rig_done(void *ctx, int err)
{
	((struct rig *)ctx)->err = err;
}

int rig_format(struct rig *rig, const struct store_format_args *args)
{
	struct store *st = store_new(fakedisk_get(rig->fd));

	XBD_ASSERT(st);
	rig->err = 1;
	store_format(st, args, rig_done, rig);
	fakedisk_run(rig->fd);
	XBD_ASSERT(rig->err != 1);
	store_free(st);
	return rig->err;
}

int rig_open(struct rig *rig)
{
	rig->st = store_new(fakedisk_get(rig->fd));
	XBD_ASSERT(rig->st);
	rig->err = 1;
	store_open(rig->st, rig_done, rig);
	fakedisk_run(rig->fd);
	XBD_ASSERT(rig->err != 1);
	if (rig->err) {
		store_free(rig->st);
		rig->st = NULL;
	}
	return rig->err;
}

int rig_close(struct rig *rig)
{
	rig->err = 1;
	store_close(rig->st, rig_done, rig);
	for (unsigned i = 0; i < 10000 && rig->err == 1; i++) {
		store_kick(rig->st);
		fakedisk_step(rig->fd);
	}
	XBD_ASSERT(rig->err != 1);
	store_free(rig->st);
	rig->st = NULL;
	return rig->err;
}

void rig_crash(struct rig *rig)
{
	int err;

	fakedisk_crash(rig->fd);
	store_free(rig->st);
	err = rig_open(rig);
	XBD_ASSERT(!err);
}

void rig_settle(struct rig *rig)
{
	do {
		store_kick(rig->st);
	} while (fakedisk_step(rig->fd));
	store_kick(rig->st);
}

void rig_init(struct rig *rig, const struct rig_opts *opts)
{
	int err;

	memset(rig, 0, sizeof(*rig));
	rig->fd = fakedisk_new(&opts->disk);
	XBD_ASSERT(rig->fd);
	err = rig_format(rig, &opts->format);
	XBD_ASSERT(!err);
	err = rig_open(rig);
	XBD_ASSERT(!err);
}

void rig_free(struct rig *rig)
{
	store_free(rig->st);
	fakedisk_free(rig->fd);
}

static void op_done(struct store_op *op)
{
	*(bool *)op->owner = true;
}

int rig_do(struct rig *rig, struct store_op *op)
{
	bool done = false;

	op->done = op_done;
	op->owner = &done;
	store_submit(rig->st, op);
	XBD_ASSERT(!done);
	for (unsigned i = 0; i < 100000 && !done; i++) {
		store_kick(rig->st);
		if (!done)
			fakedisk_step(rig->fd);
	}
	XBD_ASSERT(done);
	return op->res;
}

static int state_op(struct rig *rig, uint8_t kind, uint32_t shard, uint32_t prom)
{
	struct xbd_state s = {
		.prom = prom, .synced = prom, .comp = prom, .retired = kind == STORE_DROP};
	struct store_op op = {.kind = kind, .shard = shard, .state = &s};

	return rig_do(rig, &op);
}

int rig_state(struct rig *rig, uint32_t shard, uint32_t prom)
{
	return state_op(rig, STORE_STATE, shard, prom);
}

int rig_drop(struct rig *rig, uint32_t shard, uint32_t prom)
{
	return state_op(rig, STORE_DROP, shard, prom);
}

int rig_write(struct rig *rig, uint32_t shard, uint32_t block, uint32_t count, uint64_t ver)
{
	struct store_op op = {.kind = STORE_WRITE,
			      .shard = shard,
			      .block = block,
			      .count = (uint16_t)count,
			      .ver = ver,
			      .buf = rig_buf,
			      .crc = rig_crc};

	for (uint32_t i = 0; i < count; i++) {
		fill(rig_buf + (size_t)i * XBD_BLOCK_SIZE, shard, block + i, ver);
		rig_crc[i] =
			crc32c_block(shard, block + i, ver, rig_buf + (size_t)i * XBD_BLOCK_SIZE);
	}
	return rig_do(rig, &op);
}

int rig_zero(struct rig *rig, uint32_t shard, uint32_t block, uint32_t count, uint64_t ver,
	     uint8_t flags)
{
	struct store_op op = {.kind = STORE_ZERO,
			      .flags = flags,
			      .shard = shard,
			      .block = block,
			      .count = (uint16_t)count,
			      .ver = ver};

	return rig_do(rig, &op);
}

int rig_repair(struct rig *rig, uint32_t shard, uint32_t block, uint64_t expect, uint64_t ver,
	       uint8_t flags, uint64_t *held)
{
	struct store_op op = {.kind = STORE_REPAIR,
			      .flags = flags,
			      .shard = shard,
			      .block = block,
			      .count = 1,
			      .ver = ver,
			      .expect = expect,
			      .buf = rig_buf,
			      .crc = rig_crc};
	int res;

	fill(rig_buf, shard, block, ver);
	rig_crc[0] = crc32c_block(shard, block, ver, rig_buf);
	res = rig_do(rig, &op);
	if (held)
		*held = op.expect;
	return res;
}

int rig_read(struct rig *rig, uint32_t shard, uint32_t block, struct store_block *out)
{
	struct store_op op = {.kind = STORE_READ,
			      .shard = shard,
			      .block = block,
			      .count = 1,
			      .buf = rig_buf,
			      .blocks = out};
	int res;

	memset(rig_buf, 0xaa, XBD_BLOCK_SIZE);
	res = rig_do(rig, &op);
	if (!res)
		XBD_ASSERT(filled(rig_buf, shard, block,
				  out->flags & (XBD_F_ZERO | XBD_F_BAD) ? 0 : out->ver));
	return res;
}
