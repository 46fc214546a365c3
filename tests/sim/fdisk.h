/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk on the virtual clock, with a cache that power loss empties in part: of what was written
 * and not flushed any set of 512-byte sectors survives, of what was being written too.
 */
#ifndef SIM_FDISK_H
#define SIM_FDISK_H

#include "sim.h"
#include "store/disk.h"

#define FD_PAGE	  4096u
#define FD_SECTOR 512u

struct fpage {
	uint8_t *now;	  /* what a read returns; NULL = zeroes */
	uint8_t *durable; /* what power loss may fall back to; NULL = clean */
	uint64_t dirty;	  /* number of the write that made it dirty */
};

struct fdop {
	struct disk_op *op;
	struct fdisk *fd;
	struct fdop *prev, *next;
	uint64_t number;
	uint8_t host;
};

struct fdisk {
	struct disk disk; /* first: the store's view */
	struct sim *sim;
	uint8_t host;
	uint32_t npages;
	struct fpage *page;
	struct fdop *head;
	uint64_t number;
	void *free_pages;
};

struct fdisk *fdisk_new(struct sim *s, uint8_t host, uint64_t bytes, bool cache);
/* EV_DISK: completes the op, unless a crash has forgotten it. */
void fdisk_event(struct sim *s, const struct event *ev);
/* The process is gone: what is in flight happens or not. power: the cache is lost too. */
void fdisk_crash(struct fdisk *fd, bool power);
/* Flip a bit of a page, in the cache and on the medium. */
void fdisk_rot(struct fdisk *fd, uint32_t page);

#endif
