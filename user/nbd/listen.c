/* SPDX-License-Identifier: BSD-2-Clause */
#include "nbd/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "nbd/server.h"

#define BACKLOG	    128
#define SOCKET_MODE 0660
#define LOCK_TRIES  100 /* of 10 ms */

__attribute__((format(printf, 3, 4))) static int fail(char *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, NBD_WHY, fmt, ap);
	va_end(ap);
	return err;
}

/* Lock the directory of a path; a descriptor whose close unlocks, or a negative errno. */
static int lock_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
	int fd;

	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
		struct timespec ts = {.tv_nsec = 10000000};

		if ((errno != EWOULDBLOCK && errno != EINTR) || i == LOCK_TRIES) {
			int err = -errno;

			close(fd);
			return err;
		}
		nanosleep(&ts, NULL);
	}
	return fd;
}

/* 0: nothing is at the path any more. */
static int remove_stale(const struct sockaddr_un *un, char *why)
{
	struct stat st;
	int fd, err;

	if (lstat(un->sun_path, &st))
		return errno == ENOENT ? 0 : fail(why, -errno, "%s: %m", un->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return fail(why, -EEXIST, "%s exists and is not a socket", un->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(why, -errno, "socket: %m");
	err = connect(fd, (const struct sockaddr *)un, sizeof(*un)) ? errno : 0;
	close(fd);
	/* EAGAIN: its queue is full, so somebody is there. */
	if (err != ECONNREFUSED)
		return fail(why, -EADDRINUSE, "%s is in use by another server", un->sun_path);
	if (unlink(un->sun_path) && errno != ENOENT)
		return fail(why, -errno, "cannot remove the stale socket %s: %m", un->sun_path);
	return 0;
}

static int bind_unix(int fd, const struct sockaddr_un *un, struct nbd_socket_file *file, char *why)
{
	struct stat st;

	/* The file gets this mode less the umask at bind, so it is never wider than meant. */
	(void)fchmod(fd, SOCKET_MODE);
	if (bind(fd, (const struct sockaddr *)un, sizeof(*un)))
		return fail(why, -errno, "cannot bind %s: %m", un->sun_path);
	_Static_assert(sizeof(file->path) == sizeof(un->sun_path), "a path fits");
	memcpy(file->path, un->sun_path, sizeof(file->path));
	if (chmod(un->sun_path, SOCKET_MODE) || lstat(un->sun_path, &st) || listen(fd, BACKLOG)) {
		int err = fail(why, -errno, "%s: %m", un->sun_path);

		unlink(un->sun_path);
		return err;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	return 0;
}

int nbd_listen_unix(const char *path, struct nbd_socket_file *file, char *why)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd, lock, err;

	if (!path[0] || strlen(path) >= sizeof(un.sun_path))
		return fail(why, -EINVAL, "the path of a Unix socket has 1 to %zu characters",
			    sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path));
	lock = lock_dir(path);
	if (lock < 0)
		return fail(why, lock, "cannot lock the directory of %s: %s", path,
			    strerror(-lock));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		err = fail(why, -errno, "socket: %m");
	else
		err = remove_stale(&un, why);
	if (!err)
		err = bind_unix(fd, &un, file, why);
	close(lock);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

void nbd_unlisten_unix(const struct nbd_socket_file *file)
{
	struct stat st;

	if (file->path[0] && !lstat(file->path, &st) && st.st_dev == file->dev &&
	    st.st_ino == file->ino)
		unlink(file->path);
}

static bool is_loopback(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;

	if (addr->ss_family == AF_INET)
		return ntohl(in4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int bind_tcp(int fd, const struct sockaddr_storage *addr, uint16_t *port, char *why)
{
	bool v4 = addr->ss_family == AF_INET;
	socklen_t len = v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	struct sockaddr_storage got;
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)addr, len) || listen(fd, BACKLOG))
		return fail(why, -errno, "cannot listen on the TCP address: %m");
	if (getsockname(fd, (struct sockaddr *)&got, &len))
		return fail(why, -errno, "getsockname: %m");
	*port = ntohs(v4 ? ((struct sockaddr_in *)&got)->sin_port
			 : ((struct sockaddr_in6 *)&got)->sin6_port);
	return 0;
}

int nbd_listen_tcp(const struct sockaddr_storage *addr, bool insecure, uint16_t *port, char *why)
{
	int fd, err;

	if (addr->ss_family != AF_INET && addr->ss_family != AF_INET6)
		return fail(why, -EINVAL, "a TCP address must be IPv4 or IPv6");
	if (!insecure && !is_loopback(addr))
		return fail(why, -EACCES,
			    "NBD over TCP has no encryption and no authentication here: only "
			    "loopback addresses are allowed, unless that is switched off");
	fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(why, -errno, "socket: %m");
	err = bind_tcp(fd, addr, port, why);
	if (err)
		close(fd);
	return err ? err : fd;
}
