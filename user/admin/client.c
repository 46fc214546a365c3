/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/error.h"
#include "config/text.h"

#define ANSWER_MAX (64u << 20)

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int admin_path(char *buf, size_t size, const char *run_dir, const char *kind, const char *name)
{
	int n = snprintf(buf, size, "%s/%s-%s.sock", run_dir, kind, name);

	return n < 0 || (size_t)n >= size || n >= (int)sizeof(((struct sockaddr_un *)0)->sun_path)
		       ? -ENAMETOOLONG
		       : 0;
}

static int wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left = deadline_ms - now_ms();
	int n = poll(&p, 1, left > 0 ? (int)left : 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int dial(const char *path, int64_t deadline_ms)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, err = 0;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* a full backlog says EAGAIN and cannot be polled for */
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

		err = -errno;
		if (err != -EAGAIN || now_ms() > deadline_ms)
			break;
		nanosleep(&pause, NULL);
		err = 0;
	}
	if (err) {
		close(fd);
		return err == -EAGAIN ? -ETIMEDOUT : err;
	}
	return fd;
}

static int send_line(int fd, const char *line, int64_t deadline_ms)
{
	size_t len = strlen(line);

	while (len) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL);
		int err;

		if (n >= 0) {
			line += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_for(fd, POLLOUT, deadline_ms);
		if (err)
			return err;
	}
	return 0;
}

/* Everything up to the end of the connection. */
static int receive(int fd, char **out, int64_t deadline_ms)
{
	size_t have = 0, room = 65536;
	char *buf = malloc(room);
	int err = buf ? 0 : -ENOMEM;

	while (!err) {
		ssize_t n = recv(fd, buf + have, room - have - 1, 0);

		if (n == 0)
			break;
		if (n > 0)
			have += (size_t)n;
		else if (errno == EAGAIN || errno == EINTR)
			err = wait_for(fd, POLLIN, deadline_ms);
		else
			err = -errno;
		if (!err && have == room - 1) {
			char *more = room < ANSWER_MAX ? realloc(buf, room * 2) : NULL;

			err = more ? 0 : -ENOMEM;
			buf = more ? more : buf;
			room *= 2;
		}
	}
	if (err) {
		free(buf);
		return err;
	}
	buf[have] = 0;
	*out = buf;
	return 0;
}

static int talk(const char *path, const char *cmd, char **answer)
{
	int64_t deadline_ms = now_ms() + ADMIN_CALL_TIMEOUT_MS;
	int fd = dial(path, deadline_ms), err;
	char line[128];

	if (fd < 0)
		return fd;
	snprintf(line, sizeof(line), "{\"cmd\":\"%s\"}\n", cmd);
	err = send_line(fd, line, deadline_ms);
	if (!err)
		err = receive(fd, answer, deadline_ms);
	close(fd);
	return err;
}

static int explain(const char *path, int err, char *why, size_t why_size)
{
	switch (err) {
	case -ENOENT:
		return text_why(why, why_size, err, "%s: no such socket: the daemon is not running",
				path);
	case -ECONNREFUSED:
		return text_why(
			why, why_size, err,
			"%s: the daemon that made this socket is not running any more; start it "
			"again, or delete the socket if it is gone for good",
			path);
	case -ETIMEDOUT:
		return text_why(why, why_size, err, "%s: the daemon does not answer (waited %d s)",
				path, ADMIN_CALL_TIMEOUT_MS / 1000);
	default:
		return text_why(why, why_size, err, "%s: %s", path, xbd_strerror(err));
	}
}

int admin_call(const char *path, const char *cmd, json_t **out, char *why, size_t why_size)
{
	json_error_t e;
	json_t *o, *bad;
	char *answer;
	int err = talk(path, cmd, &answer);

	if (err)
		return explain(path, err, why, why_size);
	o = json_loads(answer, JSON_DECODE_ANY, &e);
	free(answer);
	if (!json_is_object(o)) {
		json_decref(o);
		return text_why(why, why_size, -EPROTO, "%s: the answer is not JSON", path);
	}
	bad = json_object_get(o, "error");
	if (bad) {
		err = text_why(why, why_size, -EPROTO, "%s: %s", path,
			       json_is_string(bad) ? json_string_value(bad) : "error");
		json_decref(o);
		return err;
	}
	*out = o;
	return 0;
}
