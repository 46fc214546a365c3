/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "cmd/cli.h"
#include "cmd/probe.h"
#include "io/disk.h"
#include "io/loop.h"
#include "store/store.h"

struct init {
	struct cli *c;
	const char *path;
	bool created; /* the file: removed again if formatting fails */
	bool done;
	int err;
	uint64_t size;
	struct store_format_args args;
};

static int make_file(struct init *in, uint64_t size)
{
	int fd = open(in->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return cli_fail(in->c, "cannot make %s: %s", in->path, strerror(errno));
	in->created = true;
	/* space that is there now cannot be missing later; some file systems cannot promise it */
	err = fallocate(fd, 0, 0, (off_t)size) ? errno : 0;
	if (err == EOPNOTSUPP)
		err = ftruncate(fd, (off_t)size) ? errno : 0;
	if (!err && fsync(fd))
		err = errno;
	close(fd);
	if (err)
		return cli_fail(in->c, "cannot make %s with %s: %s", in->path, cli_size(size),
				strerror(err));
	return 0;
}

/* Refuse to overwrite what may be of value to somebody. */
static int check_content(struct init *in, int fd)
{
	unsigned char *start = calloc(1, PROBE_BYTES);
	const char *what;
	ssize_t n = start ? pread(fd, start, PROBE_BYTES, 0) : -1;
	int err = 0;

	if (n < 0) {
		err = cli_fail(in->c, "cannot read %s: %s", in->path, strerror(errno));
	} else {
		what = probe(start, (size_t)n);
		if (what)
			err = cli_fail(in->c,
				       "%s holds %s already; use --force to overwrite it, which "
				       "loses all that is on it",
				       in->path, what);
	}
	free(start);
	return err;
}

static int check_existing(struct init *in, const struct stat *st)
{
	/* O_EXCL on a block device: fails if it is mounted or part of something */
	int flags = O_RDWR | O_CLOEXEC | (S_ISBLK(st->st_mode) ? O_EXCL : 0);
	int fd, err = 0;

	if (!S_ISBLK(st->st_mode) && !S_ISREG(st->st_mode))
		return cli_fail(in->c, "%s is neither a block device nor a file", in->path);
	if (cmd_opt(&in->c->line, "size"))
		return cli_fail(in->c, "%s exists: --size is for files that are to be made",
				in->path);
	fd = open(in->path, flags);
	if (fd < 0)
		return cli_fail(in->c,
				errno == EBUSY ? "%s is in use: mounted, or part of a RAID "
						 "or volume group"
					       : "cannot open %s: %s",
				in->path, strerror(errno));
	if (!cmd_opt(&in->c->line, "force"))
		err = check_content(in, fd);
	close(fd);
	return err;
}

static int prepare(struct init *in)
{
	uint64_t size = cmd_opt_size(&in->c->line, "size", 0);
	struct stat st;

	if (!stat(in->path, &st))
		return check_existing(in, &st);
	if (errno != ENOENT)
		return cli_fail(in->c, "cannot open %s: %s", in->path, strerror(errno));
	if (!size)
		return cli_fail(in->c, "%s does not exist; give --size to make a file", in->path);
	if (size % XBD_BLOCK_SIZE || size > INT64_MAX) {
		cli_fail(in->c, "--size: must be a multiple of 4 KiB");
		return CMD_USAGE;
	}
	return make_file(in, size);
}

static void on_formatted(void *ctx, int err)
{
	struct init *in = ctx;

	in->err = err;
	in->done = true;
}

static int format_error(const struct init *in, const char *why)
{
	if (in->err == -XBD_ETOOSMALL)
		return cli_fail(in->c,
				"%s: %s are too small for a store (its journal and tables need "
				"room too); 256M and more work",
				in->path, cli_size(in->size));
	return cli_fail(in->c, "cannot format %s: %s", in->path,
			*why ? why : xbd_strerror(in->err));
}

static int format(struct init *in, struct loop *l)
{
	struct io_disk *d;
	struct store *st;
	const char *why = "";
	int err = io_disk_open(&d, l, in->path, &why);

	if (err) /* why names the path itself */
		return cli_fail(in->c, "%s%s%s", *why ? why : in->path, *why ? "" : ": ",
				*why ? "" : xbd_strerror(err));
	in->size = io_disk_get(d)->size;
	st = store_new(io_disk_get(d));
	if (!st) {
		io_disk_close(d);
		return cli_fail(in->c, "%s: out of memory", in->path);
	}
	store_format(st, &in->args, on_formatted, in);
	while (!in->done && loop_turn(l, true) >= 0)
		;
	if (!in->done)
		in->err = -EIO;
	if (in->err)
		err = format_error(in, store_why(st));
	store_free(st);
	io_disk_close(d);
	return err;
}

static int run_format(struct init *in)
{
	struct loop l;
	int err = loop_init(&l, 64, 8);

	if (err)
		return cli_fail(in->c, "cannot set up io_uring: %s", xbd_strerror(err));
	err = format(in, &l);
	loop_free(&l);
	return err;
}

static int choose_args(struct init *in)
{
	struct cli *c = in->c;
	struct store_format_args *a = &in->args;

	a->cluster = c->conf.cluster;
	a->shards_max = (uint32_t)cmd_opt_number(&c->line, "shards-max", 0);
	a->journal_bytes = cmd_opt_size(&c->line, "journal", 0);
	if (xbd_uuid_random(&a->uuid) || xbd_random(&a->seed, sizeof(a->seed)))
		return cli_fail(c, "no random numbers");
	return 0;
}

int cmd_node_init(struct cli *c)
{
	struct init in = {.c = c, .path = c->line.arg[0]};
	int err = choose_args(&in);

	if (!err)
		err = prepare(&in);
	if (!err)
		err = run_format(&in);
	if (err) {
		if (in.created)
			unlink(in.path);
		return err;
	}
	if (c->line.json)
		return cli_json(json_pack(
			"{s:s, s:s, s:s, s:I}", "path", in.path, "store", cli_uuid(&in.args.uuid),
			"cluster", cli_uuid(&in.args.cluster), "bytes", (json_int_t)in.size));
	printf("%s: formatted, %s, store UUID %s\n", in.path, cli_size(in.size),
	       cli_uuid(&in.args.uuid));
	return CMD_OK;
}
