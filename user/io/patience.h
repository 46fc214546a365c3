/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A daemon that was just killed may still hold its files, ports and sockets for some milliseconds:
 * the kernel takes an io_uring down after the process is gone. Whoever starts its successor at once
 * shall not have to know.
 */
#ifndef XBD_PATIENCE_H
#define XBD_PATIENCE_H

#include <stdbool.h>
#include <time.h>

#include "base/error.h"

#define PATIENCE_TRIES 20u
#define PATIENCE_MS    50u

/* True after a pause if err says "in use" and it is worth trying again; *tries starts at 0. */
static inline bool patience(int err, unsigned *tries)
{
	const struct timespec pause = {.tv_nsec = PATIENCE_MS * 1000000l};

	if ((err != -XBD_EINUSE && err != -EADDRINUSE) || *tries >= PATIENCE_TRIES)
		return false;
	++*tries;
	nanosleep(&pause, NULL);
	return true;
}

#endif
