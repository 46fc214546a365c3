/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's view of a disk: asynchronous reads, writes, flushes and discards of 512-byte-aligned
 * ranges. Implemented by io_uring (user/io/disk.c), by the simulator and by the crash tests.
 *
 * An op belongs to the disk from submit until its `done` is called, exactly once, from the event
 * loop and never from inside submit. A write is durable after its done if FUA was asked for, else
 * after the done of a flush submitted later. Completions may come in any order.
 */
#ifndef XBD_DISK_H
#define XBD_DISK_H

#include <stdint.h>

enum disk_kind { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD };

#define DISK_FUA 0x01 /* DISK_WRITE: done only once it is on stable storage */

struct disk_op {
	uint8_t kind;  /* enum disk_kind */
	uint8_t flags; /* DISK_FUA */
	uint16_t pad;
	int32_t res;	 /* out: 0 or negative errno; short transfers are -EIO */
	uint64_t offset; /* bytes, multiple of the disk's block size */
	uint64_t len;	 /* bytes, multiple of the disk's block size */
	void *buf;	 /* len bytes, aligned to the disk's block size; unused by flush, discard */
	void (*done)(struct disk_op *op);
	void *owner;	      /* caller's */
	struct disk_op *next; /* free for the owner before submit, the disk's until done */
};

struct disk {
	void (*submit)(struct disk *disk, struct disk_op *op);
	uint64_t size;		/* bytes */
	uint32_t block_size;	/* logical block size, bytes: 512 or 4096 */
	uint8_t volatile_cache; /* 1 = completed writes may be lost by power failure without flush
				 */
	uint8_t discard;	/* 1 = DISK_DISCARD gives space back */
};

static inline void disk_submit(struct disk *disk, struct disk_op *op)
{
	disk->submit(disk, op);
}

#endif
