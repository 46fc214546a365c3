/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata as files: DIR/cluster, DIR/node/NAME, DIR/volume/NAME. A file is
 *
 *   xbd-meta 1 version=N crc32c=XXXXXXXX len=N\n
 *   len bytes of text
 *
 * with the checksum over all of it, the checksum's own digits taken as zeroes. The header has one
 * spelling only, so any changed byte is noticed. A file is replaced by writing ".new", fsync,
 * rename and fsync of the directory; names that begin with a dot are not records. Writers hold a
 * lock on DIR; readers need none, since rename is atomic.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "config/text.h"
#include "meta/backend.h"

#define HEADER_FORMAT "xbd-meta 1 version=%llu crc32c=%08x len=%zu\n"
#define HEADER_MAX    80
#define LOCK_WAIT_MS  10000

struct file_meta {
	int dir; /* fd */
	char place[256];
};

static int header(char buf[HEADER_MAX], uint64_t version, uint32_t crc, size_t len)
{
	return snprintf(buf, HEADER_MAX, HEADER_FORMAT, (unsigned long long)version, crc, len);
}

static uint32_t checksum(uint64_t version, const char *body, size_t len)
{
	char buf[HEADER_MAX];
	int n = header(buf, version, 0, len);

	return crc32c(crc32c(0, buf, (size_t)n), body, len);
}

/* Directory part of a key ("" for the top) and file part. */
static void split_key(const char *key, char dir[META_KEY_MAX], const char **name)
{
	const char *slash = strchr(key, '/');

	XBD_ASSERT(strlen(key) < META_KEY_MAX);
	*name = slash ? slash + 1 : key;
	snprintf(dir, META_KEY_MAX, "%.*s", slash ? (int)(slash - key) : 0, key);
	XBD_ASSERT(**name && **name != '.' && !strchr(*name, '/'));
}

static int file_open(void **ctx, const char *place, int create, char *why, size_t why_size)
{
	static const char *const sub[] = {"node", "volume"};
	struct file_meta *fm;

	if (strlen(place) >= sizeof(fm->place))
		return text_why(why, why_size, -ENAMETOOLONG, "metadata path is too long");
	fm = calloc(1, sizeof(*fm));
	if (!fm)
		return -ENOMEM;
	snprintf(fm->place, sizeof(fm->place), "%s", place);
	if (create && mkdir(place, 0755) && errno != EEXIST)
		goto fail;
	fm->dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fm->dir < 0)
		goto fail;
	for (unsigned i = 0; create && i < sizeof(sub) / sizeof(sub[0]); i++) {
		if (mkdirat(fm->dir, sub[i], 0755) && errno != EEXIST) {
			close(fm->dir);
			goto fail;
		}
	}
	*ctx = fm;
	return 0;
fail:
	free(fm);
	return text_why(why, why_size, -errno, "cannot %s metadata directory %s: %s",
			create ? "make or open" : "open", place, strerror(errno));
}

static void file_close(void *ctx)
{
	struct file_meta *fm = ctx;

	close(fm->dir);
	free(fm);
}

static int lock(struct file_meta *fm, char *why, size_t why_size)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	for (int ms = 0; flock(fm->dir, LOCK_EX | LOCK_NB); ms += 20) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return text_why(why, why_size, -errno, "cannot lock %s: %s", fm->place,
					strerror(errno));
		if (ms >= LOCK_WAIT_MS)
			return text_why(why, why_size, -XBD_EINUSE,
					"%s is locked by another process for more than %d s",
					fm->place, LOCK_WAIT_MS / 1000);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static void unlock(struct file_meta *fm)
{
	flock(fm->dir, LOCK_UN);
}

/* A whole file, NUL-terminated. */
static int slurp(int fd, char **out, size_t *len)
{
	struct stat st;
	size_t have = 0;
	char *buf;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > META_RECORD_MAX)
		return -EINVAL;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + have, (size_t)st.st_size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(buf);
			return n < 0 ? -errno : -EIO;
		}
		have += (size_t)n;
	}
	buf[have] = 0;
	*out = buf;
	*len = have;
	return 0;
}

/* Check a file's bytes; moves the text to their start. NULL = good, else what is wrong. */
static const char *unpack(char *buf, size_t len, uint64_t *version)
{
	char want[HEADER_MAX];
	unsigned long long v;
	size_t body;
	unsigned crc;
	int n;

	if (sscanf(buf, "xbd-meta 1 version=%20llu crc32c=%8x len=%9zu\n", &v, &crc, &body) != 3)
		return "its first line is damaged or of another format";
	n = header(want, v, crc, body);
	if (len < (size_t)n || memcmp(buf, want, (size_t)n) || !v)
		return "its first line is damaged";
	if (len != (size_t)n + body)
		return "its length is wrong";
	if (checksum(v, buf + n, body) != crc || memchr(buf + n, 0, body))
		return "checksum mismatch";
	memmove(buf, buf + n, body + 1);
	*version = v;
	return NULL;
}

static int file_get(void *ctx, const char *key, char **text, uint64_t *version, char *why,
		    size_t why_size)
{
	struct file_meta *fm = ctx;
	int fd = openat(fm->dir, key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err;
	const char *wrong;
	size_t len = 0;
	char *buf = NULL;

	if (fd < 0 && errno == ENOENT)
		return text_why(why, why_size, -XBD_ENOTFOUND, "no %s in %s", key, fm->place);
	if (fd < 0)
		return text_why(why, why_size, -errno, "cannot read %s/%s: %s", fm->place, key,
				strerror(errno));
	err = slurp(fd, &buf, &len);
	close(fd);
	if (err)
		return text_why(why, why_size, err, "cannot read %s/%s: %s", fm->place, key,
				xbd_strerror(err));
	wrong = unpack(buf, len, version);
	if (wrong) {
		free(buf);
		return text_why(why, why_size, -XBD_ECORRUPT,
				"%s/%s is damaged: %s; restore this file from a backup", fm->place,
				key, wrong);
	}
	*text = buf;
	return 0;
}

/* The version stored now, 0 = none. */
static int held(struct file_meta *fm, const char *key, uint64_t *version, char *why,
		size_t why_size)
{
	char *text;
	int err = file_get(fm, key, &text, version, why, why_size);

	if (err == -XBD_ENOTFOUND) {
		*version = 0;
		return 0;
	}
	if (!err)
		free(text);
	return err;
}

static int check_version(struct file_meta *fm, const char *key, uint64_t expected, char *why,
			 size_t why_size)
{
	uint64_t now;
	int err = held(fm, key, &now, why, why_size);

	if (err || now == expected)
		return err;
	if (!expected)
		return text_why(why, why_size, -XBD_EEXISTS, "%s exists already in %s", key,
				fm->place);
	return text_why(why, why_size, -XBD_ESTALE,
			"%s/%s was changed by somebody else in the meantime; try again", fm->place,
			key);
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_new(int dir, const char *text, uint64_t version)
{
	char head[HEADER_MAX];
	size_t len = strlen(text);
	int n = header(head, version, checksum(version, text, len), len), err;
	int fd = openat(dir, ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return -errno;
	err = write_all(fd, head, (size_t)n);
	if (!err)
		err = write_all(fd, text, len);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

static int open_subdir(struct file_meta *fm, const char *dir)
{
	int fd = openat(fm->dir, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int replace(struct file_meta *fm, const char *key, const char *text, uint64_t version)
{
	char dir[META_KEY_MAX];
	const char *name;
	int fd, err;

	split_key(key, dir, &name);
	fd = open_subdir(fm, dir);
	if (fd < 0)
		return fd;
	err = text ? write_new(fd, text, version) : 0;
	if (!err && (text ? renameat(fd, ".new", fd, name) : unlinkat(fd, name, 0)))
		err = -errno;
	if (!err && fsync(fd))
		err = -errno;
	if (err && text)
		unlinkat(fd, ".new", 0);
	close(fd);
	return err;
}

/* text NULL: delete. */
static int change(struct file_meta *fm, const char *key, const char *text, uint64_t expected,
		  char *why, size_t why_size)
{
	int err = lock(fm, why, why_size);

	if (err)
		return err;
	err = check_version(fm, key, expected, why, why_size);
	if (!err) {
		err = replace(fm, key, text, expected + 1);
		if (err)
			text_why(why, why_size, err, "cannot %s %s/%s: %s",
				 text ? "write" : "delete", fm->place, key, xbd_strerror(err));
	}
	unlock(fm);
	return err;
}

static int file_put(void *ctx, const char *key, const char *text, uint64_t *version, char *why,
		    size_t why_size)
{
	int err;

	if (strlen(text) > META_RECORD_MAX)
		return text_why(why, why_size, -EFBIG, "%s is too large", key);
	err = change(ctx, key, text, *version, why, why_size);
	if (!err)
		(*version)++;
	return err;
}

static int file_del(void *ctx, const char *key, uint64_t version, char *why, size_t why_size)
{
	if (!version)
		return text_why(why, why_size, -EINVAL, "%s: version 0 cannot be deleted", key);
	return change(ctx, key, NULL, version, why, why_size);
}

static int is_record(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int file_list(void *ctx, const char *prefix, char ***names, size_t *count, char *why,
		     size_t why_size)
{
	struct file_meta *fm = ctx;
	struct dirent **entry;
	int n = scandirat(fm->dir, prefix, &entry, is_record, alphasort);
	char **list;
	bool full = true;

	if (n < 0 && errno != ENOENT)
		return text_why(why, why_size, -errno, "cannot read %s/%s: %s", fm->place, prefix,
				strerror(errno));
	if (n <= 0) {
		if (n == 0)
			free(entry);
		*names = NULL;
		*count = 0;
		return 0;
	}
	list = calloc((size_t)n, sizeof(*list));
	for (int i = 0; i < n; i++) {
		if (list)
			list[i] = strdup(entry[i]->d_name);
		full = full && list && list[i];
		free(entry[i]);
	}
	free(entry);
	if (!full) {
		for (int i = 0; list && i < n; i++)
			free(list[i]);
		free(list);
		return -ENOMEM;
	}
	*names = list;
	*count = (size_t)n;
	return 0;
}

const struct meta_backend_ops meta_backend_file = {
	.open = file_open,
	.close = file_close,
	.get = file_get,
	.put = file_put,
	.del = file_del,
	.list = file_list,
};
