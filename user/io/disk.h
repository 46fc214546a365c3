/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct disk over a file or block device by io_uring: O_DIRECT, registered file, registered
 * buffers for the memory that the caller names. Locks the file exclusively (flock) while open.
 */
#ifndef XBD_IO_DISK_H
#define XBD_IO_DISK_H

#include <sys/uio.h>

#include "io/loop.h"
#include "store/disk.h"

struct io_disk;

struct io_disk_info {
	bool direct;	    /* O_DIRECT in use; false = the file system refused it */
	bool fixed_buffers; /* registered buffers in use */
	bool block_device;
	uint64_t copied_ops; /* ops that went through a bounce buffer */
};

/*
 * Open `path` for reading and writing. Errors: negative errno, -XBD_EINUSE; *why gets one line
 * (static or owned by the disk; valid until io_disk_close).
 */
int io_disk_open(struct io_disk **out, struct loop *l, const char *path, const char **why);
/* Memory that most requests use; at most 16 areas, before the first request. Best effort. */
int io_disk_register(struct io_disk *d, const struct iovec *areas, unsigned n);
struct disk *io_disk_get(struct io_disk *d);
void io_disk_info(const struct io_disk *d, struct io_disk_info *out);
void io_disk_close(struct io_disk *d);

#endif
