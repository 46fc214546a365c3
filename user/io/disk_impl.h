/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to the disk driver: opening and probing (disk_open.c), requests (disk.c). */
#ifndef XBD_IO_DISK_IMPL_H
#define XBD_IO_DISK_IMPL_H

#include "io/disk.h"

#define DISK_AREAS  64u		 /* registered buffers: areas are cut into pieces of 1 GiB */
#define DISK_BOUNCE (256u << 10) /* bytes */
#define DISK_PIECE  (64u << 20)	 /* bytes: longest transfer of one SQE */

struct disk_req {
	struct loop_cb cb; /* first: the request is found from it */
	struct io_disk *d;
	struct disk_op *op;
	uint64_t pos; /* bytes of op done */
	uint32_t len; /* bytes asked for in the running transfer */
	bool bounce;  /* the running transfer uses the bounce buffer */
	bool stuck;   /* the last transfer moved nothing */
	struct disk_req *next;
};

struct io_disk {
	struct disk disk; /* first: the driver is found from it */
	struct loop *loop;
	int fd, file; /* file: index of the registered file, or negative */
	struct io_disk_info info;
	struct iovec areas[DISK_AREAS];
	unsigned nareas;
	uint8_t *bounce;	      /* NULL = never needed */
	struct disk_req *bounce_user; /* NULL = free */
	struct disk_req *bounce_wait, **bounce_tail;
	struct disk_req *free;
	struct disk_op *wait, **wait_tail;    /* no free request */
	struct disk_op *mem_head, **mem_tail; /* file in memory: to be carried out this turn */
	struct loop_hook hook;		      /* file in memory only */
	bool ran;			      /* something completed in the last hook */
	unsigned inflight;
	struct disk_req reqs[IO_DISK_DEPTH];
};

/* What is found out about an open file. */
struct disk_probe {
	uint64_t size;
	uint32_t block_size, mem_align;
	bool direct, block_device, volatile_cache, discard;
	bool memory; /* tmpfs */
};

/* Open and lock `path`; *fd and *p on success. why: at least 512 bytes. */
int disk_probe_open(const char *path, int *fd, struct disk_probe *p, char *why, size_t why_size);

/* Count and complete an op. */
void disk_op_done(struct io_disk *d, struct disk_op *op, int res);

/* disk_memory.c */
void disk_memory_setup(struct io_disk *d);
void disk_memory_submit(struct io_disk *d, struct disk_op *op);
void disk_memory_close(struct io_disk *d);

#endif
