/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct disk over a file or block device by io_uring: O_DIRECT, registered file, registered
 * buffers for the memory that the caller names. Locks the file exclusively (flock) while open; a
 * block device that is mounted or taken by another driver is refused as well.
 *
 * Any number of ops may be submitted; IO_DISK_DEPTH of them are with the kernel at once. A discard
 * that the device turns out not to know ends with 0: it is advice.
 */
#ifndef XBD_IO_DISK_H
#define XBD_IO_DISK_H

#include <sys/uio.h>

#include "io/loop.h"
#include "store/disk.h"

#define IO_DISK_DEPTH 256u

struct io_disk;

/* Counters: X(name, text) */
#define IO_DISK_COUNTERS(X)                                                                        \
	X(reads, "reads completed")                                                                \
	X(writes, "writes completed")                                                              \
	X(fua, "of these, writes with forced unit access")                                         \
	X(flushes, "flushes completed")                                                            \
	X(discards, "discards completed")                                                          \
	X(read_bytes, "bytes read")                                                                \
	X(write_bytes, "bytes written")                                                            \
	X(fixed_ops, "transfers in registered buffers")                                            \
	X(copied_ops, "operations that went through a bounce buffer")                              \
	X(resumed, "transfers continued after a part")                                             \
	X(queued, "operations that had to wait for a slot")                                        \
	X(errors, "operations that failed")                                                        \
	X(inline_calls, "system calls for files in memory")

struct io_disk_info {
	bool direct;	    /* O_DIRECT in use; false = the file system refused it */
	bool fixed_file;    /* registered file in use */
	bool fixed_buffers; /* registered buffers in use */
	bool block_device;
	bool memory;	    /* a file in memory: plain system calls instead of io_uring */
	uint32_t mem_align; /* bytes: buffers aligned less than that are copied */
#define X(name, text) uint64_t name;
	IO_DISK_COUNTERS(X)
#undef X
};

/*
 * Open `path` for reading and writing. Errors: negative errno, -XBD_EINUSE, -XBD_ETOOSMALL; *why
 * then gets one line, valid until the next io_disk_open.
 */
int io_disk_open(struct io_disk **out, struct loop *l, const char *path, const char **why);
/*
 * Memory that most requests use; at most 16 areas, once, early. Best effort: 0
 * if all of it is registered, else negative errno, and everything works as well without.
 */
int io_disk_register(struct io_disk *d, const struct iovec *areas, unsigned n);
struct disk *io_disk_get(struct io_disk *d);
/*
 * Carry out what is queued for a file in memory; returns how many operations completed (always 0
 * for other files, whose completions come through the loop). It runs at the end of each turn by
 * itself; a daemon that wants to answer in the same turn calls it from its own hook.
 */
unsigned io_disk_run(struct io_disk *d);
void io_disk_info(const struct io_disk *d, struct io_disk_info *out);
/* No op may be in flight. NULL is fine. */
void io_disk_close(struct io_disk *d);

#endif
