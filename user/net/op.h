/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multishot requests whose owner may go before the kernel has completed them. The request is
 * allocated on its own; its last completion frees it.
 */
#ifndef XBD_NET_OP_H
#define XBD_NET_OP_H

#include "io/loop.h"

struct op {
	struct loop_cb cb; /* first */
	void *owner;	   /* NULL once closed */
	struct op *next;
};

/* Cancel; the owner is not called any more and the kernel uses none of its memory. The memory of
 * op itself (by malloc) is freed when the last completion has been seen. */
void op_close(struct loop *l, struct op *op);

/* To be asked first in every callback: true = the owner is gone, do nothing. */
bool op_closed(struct op *op, unsigned cqe_flags);

#endif
