/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the store alone costs: operations per second of one core and disk traffic per operation, on
 * a disk that takes no time and keeps its data in one piece of memory. Figures are printed, only
 * the traffic is asserted.
 *
 *   test_store_speed [OPERATIONS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "fakedisk.h"
#include "store/store.h"

#define DISK_BYTES (2ull << 30)
#define BLOCKS	   200000u
#define QD_MAX	   32u

struct memdisk {
	struct disk disk;
	uint8_t *mem;
	struct disk_op *head, **end;
};

struct job {
	struct store_op op;
	uint32_t crc[XBD_OP_BLOCKS];
	struct store_block blocks[XBD_OP_BLOCKS];
	uint8_t *buf;
	bool busy;
};

static struct memdisk md;
static struct store *st;
static struct job jobs[QD_MAX];
static uint64_t rng = 1, version = 1, finished;
static int result;

static void submit(struct disk *disk, struct disk_op *op)
{
	op->next = NULL;
	*md.end = op;
	md.end = &op->next;
}

/* Ends all ops of this turn; those submitted meanwhile end in the next one. */
static void turn(void)
{
	struct disk_op *op = md.head, *next;

	md.head = NULL;
	md.end = &md.head;
	for (; op; op = next) {
		next = op->next;
		op->res = 0;
		if (op->kind == DISK_WRITE)
			memcpy(md.mem + op->offset, op->buf, op->len);
		else if (op->kind == DISK_READ)
			memcpy(op->buf, md.mem + op->offset, op->len);
		op->done(op);
	}
}

static void ended(void *ctx, int err)
{
	result = err;
}

static void wait_end(void)
{
	while (result == 1) {
		store_kick(st);
		turn();
	}
	XBD_ASSERT(!result);
}

static void job_done(struct store_op *op)
{
	struct job *j = op->owner;

	XBD_ASSERT(!op->res);
	j->busy = false;
	finished++;
}

static void start(struct job *j, uint8_t kind, uint32_t count, bool random)
{
	static uint32_t at;
	uint32_t block = random ? (uint32_t)(fakedisk_rand(&rng) % (BLOCKS / count)) * count : at;

	at = (at + count) % (BLOCKS / count * count);
	j->op = (struct store_op){.kind = kind,
				  .shard = 1,
				  .count = (uint16_t)count,
				  .block = block,
				  .ver = ++version,
				  .buf = j->buf,
				  .done = job_done,
				  .owner = j};
	if (kind == STORE_READ) {
		j->op.blocks = j->blocks;
	} else {
		for (uint32_t i = 0; i < count; i++)
			j->crc[i] = crc32c_block(1, block + i, version,
						 j->buf + (size_t)i * XBD_BLOCK_SIZE);
		j->op.crc = j->crc;
	}
	j->busy = true;
	store_submit(st, &j->op);
}

/* Disk writes per operation, times 100. */
static uint64_t measure(const char *what, uint8_t kind, uint32_t count, unsigned qd, bool random,
			uint64_t ops)
{
	struct store_counters a, b;
	uint64_t started = 0, io;
	clock_t t = clock();
	double s;

	finished = 0;
	store_counters(st, &a);
	while (finished < ops) {
		for (unsigned i = 0; i < qd && started < ops; i++) {
			if (jobs[i].busy)
				continue;
			start(&jobs[i], kind, count, random);
			started++;
		}
		store_kick(st);
		turn();
	}
	s = (double)(clock() - t) / CLOCKS_PER_SEC;
	store_counters(st, &b);
	io = b.disk_writes - a.disk_writes + b.disk_reads - a.disk_reads;
	printf("%-34s %8.0f ops/s  %5.2f I/Os and %7.0f bytes written per op, %.3f flushes, "
	       "%llu checkpoints\n",
	       what, (double)ops / s, (double)io / (double)ops,
	       (double)(b.disk_write_bytes - a.disk_write_bytes) / (double)ops,
	       (double)(b.disk_flushes - a.disk_flushes) / (double)ops,
	       (unsigned long long)(b.checkpoints - a.checkpoints));
	return io * 100 / ops;
}

static void make_store(bool volatile_cache)
{
	struct store_format_args args = {.uuid = {{9}}, .seed = 1};
	struct xbd_state state = {.prom = 1};
	struct store_op op = {.kind = STORE_STATE, .shard = 1, .state = &state, .done = job_done};

	md.end = &md.head;
	md.disk = (struct disk){.submit = submit,
				.size = DISK_BYTES,
				.block_size = 512,
				.volatile_cache = volatile_cache};
	st = store_new(&md.disk);
	XBD_ASSERT(st);
	result = 1;
	store_format(st, &args, ended, NULL);
	wait_end();
	store_free(st);
	st = store_new(&md.disk);
	result = 1;
	store_open(st, ended, NULL);
	wait_end();
	jobs[0].busy = true;
	op.owner = &jobs[0];
	store_submit(st, &op);
	while (jobs[0].busy) {
		store_kick(st);
		turn();
	}
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000;
	struct store_info info;

	md.mem = calloc(1, DISK_BYTES);
	XBD_ASSERT(md.mem);
	for (unsigned i = 0; i < QD_MAX; i++) {
		jobs[i].buf = aligned_alloc(4096, XBD_OP_BLOCKS * XBD_BLOCK_SIZE);
		XBD_ASSERT(jobs[i].buf);
		memset(jobs[i].buf, (int)i + 1, XBD_OP_BLOCKS * XBD_BLOCK_SIZE);
	}
	for (unsigned v = 0; v < 2; v++) {
		printf(v ? "volatile cache\n" : "no volatile cache\n");
		make_store(v);
		measure("sequential write 128 KiB, depth 32", STORE_WRITE, 32, 32, false, n / 16);
		XBD_ASSERT(measure("random write 4 KiB, depth 1", STORE_WRITE, 1, 1, true, n) <
			   300);
		XBD_ASSERT(measure("random write 4 KiB, depth 32", STORE_WRITE, 1, 32, true, n) <
			   200);
		measure("random read 4 KiB, depth 32", STORE_READ, 1, 32, true, n);
		store_info(st, &info);
		result = 1;
		store_close(st, ended, NULL);
		wait_end();
		store_free(st);
	}
	printf("memory of a store of %llu MiB: %llu KiB reserved\n",
	       (unsigned long long)(info.disk_bytes >> 20),
	       (unsigned long long)(info.mem_bytes >> 10));
	for (unsigned i = 0; i < QD_MAX; i++)
		free(jobs[i].buf);
	free(md.mem);
	return 0;
}
