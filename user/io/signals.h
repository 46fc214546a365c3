/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGINT and SIGTERM as events of the loop. SIGPIPE is ignored from then on. */
#ifndef XBD_IO_SIGNALS_H
#define XBD_IO_SIGNALS_H

#include <sys/signalfd.h>

#include "io/loop.h"

struct loop_signals {
	/* Runs in the loop for every signal, any number of times. */
	void (*fn)(struct loop_signals *s, int signo);
	struct loop_cb cb; /* from here on private */
	struct loop *loop;
	struct signalfd_siginfo info;
	int fd;
};

/*
 * Blocks both signals for the calling thread and takes them by signalfd: call it before other
 * threads start, as early as possible. 0 or negative errno. s lives as long as the loop.
 */
int loop_signals_start(struct loop_signals *s, struct loop *l);
/* After the loop's last turn. */
void loop_signals_stop(struct loop_signals *s);

#endif
