/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening a file or block device as a disk: what it is, how it must be talked to. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "io/disk_impl.h"

#define BLOCK_MAX 4096u

struct open_ctx {
	const char *path;
	struct disk_probe *p;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 3, 4))) static int fail(struct open_ctx *c, int err, const char *fmt,
						      ...)
{
	va_list ap;
	int n;

	n = snprintf(c->why, c->why_size, "%s: ", c->path);
	if (n < 0 || (size_t)n >= c->why_size)
		return err;
	va_start(ap, fmt);
	vsnprintf(c->why + n, c->why_size - (size_t)n, fmt, ap);
	va_end(ap);
	return err;
}

/* First line of /sys/dev/block/MAJOR:MINOR/queue/NAME; a partition's queue is its parent's. */
static int queue_attr(dev_t dev, const char *name, char *buf, size_t size)
{
	static const char *const dirs[] = {"queue", "../queue"};

	for (unsigned i = 0; i < 2; i++) {
		char path[128];
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			 dirs[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, buf, size - 1);
		close(fd);
		if (n <= 0)
			continue;
		buf[n] = '\0';
		buf[strcspn(buf, "\n")] = '\0';
		return 0;
	}
	return -ENOENT;
}

static int probe_block_device(struct open_ctx *c, int fd, dev_t dev)
{
	struct disk_probe *p = c->p;
	char attr[64];
	int ssz = 0;

	p->block_device = true;
	if (ioctl(fd, BLKGETSIZE64, &p->size) || ioctl(fd, BLKSSZGET, &ssz) || ssz <= 0)
		return fail(c, -errno, "cannot read the device's size: %s", strerror(errno));
	p->block_size = (uint32_t)ssz;
	p->mem_align = p->block_size;
	/* A cache is assumed unless the kernel says that there is none. */
	p->volatile_cache = queue_attr(dev, "write_cache", attr, sizeof(attr)) ||
			    strcmp(attr, "write through") != 0;
	p->discard = queue_attr(dev, "discard_max_bytes", attr, sizeof(attr)) == 0 &&
		     strtoull(attr, NULL, 10) > 0;
	return 0;
}

static int probe_file(struct open_ctx *c, int fd, const struct stat *st)
{
	struct disk_probe *p = c->p;
	struct statfs fs;
	bool tmpfs;

	if (fstatfs(fd, &fs))
		return fail(c, -errno, "statfs: %s", strerror(errno));
	tmpfs = fs.f_type == TMPFS_MAGIC;
	p->size = (uint64_t)st->st_size;
	/* Page cache takes anything; where direct I/O hides its rules, 4096 always fits. */
	p->block_size = tmpfs || !p->direct ? 512 : BLOCK_MAX;
	p->mem_align = tmpfs || !p->direct ? 1 : BLOCK_MAX;
	p->volatile_cache = !tmpfs;
	p->memory = tmpfs;
	/* Past the end of the file: changes nothing, tells whether the file system can. */
	p->discard = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st->st_size,
			       BLOCK_MAX) == 0;
	return 0;
}

/* What the kernel (6.1 and later) says about direct I/O. False = it does not want any. */
static bool probe_dioalign(int fd, struct disk_probe *p)
{
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) || !(sx.stx_mask & STATX_DIOALIGN))
		return true;
	if (!sx.stx_dio_offset_align || !sx.stx_dio_mem_align)
		return false;
	p->block_size = sx.stx_dio_offset_align < 512 ? 512 : sx.stx_dio_offset_align;
	p->mem_align = sx.stx_dio_mem_align;
#endif
	return true;
}

static int open_direct(struct open_ctx *c, const struct stat *st, int *fd)
{
	/* O_EXCL on a block device: not while it is mounted or belongs to another driver. */
	int flags = O_RDWR | O_CLOEXEC | (S_ISBLK(st->st_mode) ? O_EXCL : 0);

	*fd = open(c->path, flags | O_DIRECT);
	c->p->direct = *fd >= 0;
	if (*fd < 0 && errno == EINVAL)
		*fd = open(c->path, flags);
	if (*fd >= 0)
		return 0;
	if (errno == EBUSY)
		return fail(c, -XBD_EINUSE,
			    "in use: mounted, part of another device, or served already");
	return fail(c, -errno, "cannot open: %s", strerror(errno));
}

static int check_geometry(struct open_ctx *c)
{
	struct disk_probe *p = c->p;

	if (p->block_size > BLOCK_MAX || (p->block_size & (p->block_size - 1)))
		return fail(c, -EINVAL,
			    "logical blocks of %u bytes are not supported (512 .. 4096)",
			    p->block_size);
	p->size -= p->size % p->block_size;
	if (!p->size)
		return fail(c, -XBD_ETOOSMALL, "is empty: give the file a size first");
	return 0;
}

static int probe(struct open_ctx *c, int fd, const struct stat *st)
{
	int err;

	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK
			       ? fail(c, -XBD_EINUSE, "in use by another process (locked)")
			       : fail(c, -errno, "cannot lock: %s", strerror(errno));
	err = S_ISBLK(st->st_mode) ? probe_block_device(c, fd, st->st_rdev) : probe_file(c, fd, st);
	if (err)
		return err;
	if (c->p->direct && !probe_dioalign(fd, c->p)) {
		if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT))
			return fail(c, -errno, "cannot turn direct I/O off: %s", strerror(errno));
		c->p->direct = false;
		c->p->mem_align = 1;
	}
	return check_geometry(c);
}

int disk_probe_open(const char *path, int *fd, struct disk_probe *p, char *why, size_t why_size)
{
	struct open_ctx c = {path, p, why, why_size};
	struct stat st;
	int err, file = -1;

	memset(p, 0, sizeof(*p));
	if (stat(path, &st))
		return fail(&c, -errno, "%s", strerror(errno));
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return fail(&c, -EINVAL, "neither a regular file nor a block device");
	err = open_direct(&c, &st, &file);
	if (!err)
		err = probe(&c, file, &st);
	if (err) {
		if (file >= 0)
			close(file);
		return err;
	}
	*fd = file;
	return 0;
}
