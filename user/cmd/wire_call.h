/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to storage nodes that are not part of a volume's traffic: INFO, CREATE, RETIRE.
 * Blocking, over UDP sockets of their own, repeated until they are answered or the time is over.
 * Many at once.
 */
#ifndef XBD_CMD_WIRE_CALL_H
#define XBD_CMD_WIRE_CALL_H

#include <sys/socket.h>

#include "core/codec.h"

#define WIRE_CALLS_MAX	64u
#define WIRE_TIMEOUT_MS 2000u

struct wire_call {
	struct sockaddr_storage addr;
	struct xbd_send send; /* stamp and sender are filled in by wire_run */
	uint8_t answer;	      /* type of the answer */

	int err;	/* out: 0 = answered; -ETIMEDOUT, -ECONNREFUSED or another negative errno */
	uint8_t status; /* out: enum xbd_status */
	struct xbd_info info; /* out: body of INFO_R */

	int fd; /* inside */
	unsigned refused;
};

/* Do all of them; n <= WIRE_CALLS_MAX. The outcome of each is in its err. */
void wire_run(struct wire_call *calls, unsigned n, unsigned timeout_ms);
/* What went wrong with a call, after "NAME (ADDR) ": "does not answer", "says: ...". */
const char *wire_error(const struct wire_call *c);
/* Text of an XBD_S_*. */
const char *wire_status(uint8_t status);

/* Ask who is there. 0 or negative errno as in wire_call.err. */
int wire_info(const struct sockaddr_storage *addr, struct xbd_info *info, const char **why);

#endif
