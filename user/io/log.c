/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

static struct {
	char prefix[128];
	bool quiet;
	uint64_t period_ms; /* when the running period began */
	unsigned lines, left_out;
} lg;

void log_open(const char *program, const char *name, bool quiet)
{
	snprintf(lg.prefix, sizeof(lg.prefix), "%s[%s]: ", program, name);
	lg.quiet = quiet;
}

/* One write per line: lines of several processes on one terminal or file stay whole. */
static void put(const char *fmt, va_list ap)
{
	char line[1024];
	int n = snprintf(line, sizeof(line), "%s", lg.prefix);
	size_t len = (size_t)n;

	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	if (n < 0)
		return;
	len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nobody to tell */
}

__attribute__((format(printf, 1, 2))) static void put_now(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(fmt, ap);
	va_end(ap);
}

static bool allowed(void)
{
	struct timespec ts;
	uint64_t ms;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (ms - lg.period_ms >= LOG_PERIOD_MS) {
		if (lg.left_out)
			put_now("%u lines were left out here", lg.left_out);
		lg.period_ms = ms;
		lg.lines = lg.left_out = 0;
	}
	if (lg.lines < LOG_BURST) {
		lg.lines++;
		return true;
	}
	lg.left_out++;
	return false;
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	if (lg.quiet || !allowed())
		return;
	va_start(ap, fmt);
	put(fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	if (!allowed())
		return;
	va_start(ap, fmt);
	put(fmt, ap);
	va_end(ap);
}

static void notify_systemd(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(sun.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* a name without a file */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&sun,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

void log_ready(const char *text)
{
	printf("ready %s\n", text);
	fflush(stdout);
	notify_systemd();
}

int log_failed(int err, const char *what, const char *why)
{
	log_warn("%s: %s", what, why && *why ? why : xbd_strerror(err));
	return err;
}
