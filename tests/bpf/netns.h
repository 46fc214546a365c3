/* SPDX-License-Identifier: BSD-2-Clause */
/* A process in a network namespace of its own, joined to its parent's by a veth pair. */
#ifndef XBD_TEST_NETNS_H
#define XBD_TEST_NETNS_H

#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77

/* Run a shell command; 0 = it succeeded. */
static inline int sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline int sh(const char *fmt, ...)
{
	char cmd[512];
	char *argv[] = {(char *)"sh", (char *)"-c", cmd, NULL};
	int status;
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

/* Into a fresh network namespace; exits with SKIP if that is not allowed. */
static inline void netns_enter_new(void)
{
	if (unshare(CLONE_NEWNET)) {
		printf("skipped: a network namespace cannot be made: %s\n", strerror(errno));
		exit(SKIP);
	}
	sh("ip link set lo up");
}

/* A veth pair: `here` in this namespace, `there` in that of process pid. */
static inline int netns_join(const char *here, const char *there, pid_t pid, unsigned queues)
{
	return sh("ip link add %s numrxqueues %u numtxqueues %u type veth peer name %s "
		  "numrxqueues %u numtxqueues %u netns %d",
		  here, queues, queues, there, queues, queues, (int)pid);
}

/* Addresses 10.77.0.HOST and fd77::HOST. */
static inline int netns_up(const char *name, unsigned host, unsigned mtu)
{
	return sh("ip link set %s mtu %u up && ip addr add 10.77.0.%u/24 dev %s && "
		  "ip addr add fd77::%u/64 dev %s nodad",
		  name, mtu, host, name, host, name);
}

#endif
