/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void arm(struct loop_signals *s)
{
	struct io_uring_sqe *sqe = loop_sqe(s->loop, &s->cb);

	io_uring_prep_read(sqe, s->fd, &s->info, sizeof(s->info), 0);
}

static void on_signal(struct loop_cb *cb, int res, unsigned flags)
{
	struct loop_signals *s =
		(struct loop_signals *)((char *)cb - offsetof(struct loop_signals, cb));

	if (res == (int)sizeof(s->info))
		s->fn(s, (int)s->info.ssi_signo);
	else if (res != -EINTR && res != -EAGAIN)
		return;
	arm(s);
}

int loop_signals_start(struct loop_signals *s, struct loop *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	s->fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	s->loop = l;
	s->cb.fn = on_signal;
	arm(s);
	return 0;
}

void loop_signals_stop(struct loop_signals *s)
{
	if (s->loop)
		close(s->fd);
	s->loop = NULL;
}
