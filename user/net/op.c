/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/op.h"

#include <stdlib.h>

static struct op *closing;

void op_close(struct loop *l, struct op *op)
{
	struct io_uring_sync_cancel_reg reg = {
		.addr = (uintptr_t)&op->cb,
		.timeout = {.tv_sec = 1},
	};

	op->owner = NULL;
	op->next = closing;
	closing = op;
	(void)io_uring_submit(&l->ring); /* it may not even have been submitted */
	(void)io_uring_register_sync_cancel(&l->ring, &reg);
	(void)io_uring_get_events(&l->ring);
}

bool op_closed(struct op *op, unsigned cqe_flags)
{
	struct op **at = &closing;

	if (op->owner)
		return false;
	if (cqe_flags & IORING_CQE_F_MORE)
		return true;
	while (*at && *at != op)
		at = &(*at)->next;
	if (*at)
		*at = op->next;
	free(op);
	return true;
}
