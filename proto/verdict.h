/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that can become of a received packet: one row each, used by the XDP program's
 * counters, the daemons' counters, `xbd stats` and the tests.
 *
 * X(NAME, what happens, text). What happens: PASS = left to the kernel's stack (not ours, or no
 * AF_XDP socket), STEER = given to an AF_XDP socket, DROP = refused and counted. Only rows marked
 * DROP can be the result of xbd_check(); a socket without XDP makes the same checks.
 */
#ifndef XBD_VERDICT_H
#define XBD_VERDICT_H

#define XBD_VERDICTS(X)                                                                            \
	X(STEERED, STEER, "given to the AF_XDP socket of its queue")                               \
	X(NOT_OURS, PASS, "other traffic: not IP, not UDP, another port or address")               \
	X(IP_FRAGMENT, PASS, "IP fragment or IP options: left to the kernel")                      \
	X(NO_SOCKET, PASS, "no AF_XDP socket on this queue: left to the UDP socket")               \
	X(ACCEPTED, STEER, "accepted from the UDP socket")                                         \
	X(SHORT, DROP, "shorter than its headers say")                                             \
	X(MAGIC, DROP, "not an xbd packet")                                                        \
	X(VERSION, DROP, "unknown protocol version")                                               \
	X(TYPE, DROP, "unknown message type")                                                      \
	X(DIRECTION, DROP, "message type not meant for this side")                                 \
	X(FLAGS, DROP, "flags that this message type does not have")                               \
	X(SHARD, DROP, "shard number out of range")                                                \
	X(EPOCH, DROP, "epoch zero or reserved")                                                   \
	X(LENGTH, DROP, "body length wrong for this message type")                                 \
	X(FRAGMENT, DROP, "fragment index, count or size does not fit the operation")              \
	X(COUNT, DROP, "count out of range")                                                       \
	X(RANGE, DROP, "blocks beyond the end of a shard")                                         \
	X(SENDER, DROP, "sender slot out of range")                                                \
	X(KEY, DROP, "unknown key id")                                                             \
	X(TAG, DROP, "authentication tag wrong")                                                   \
	X(STALE, DROP, "epoch older than the promise: sender is fenced")                           \
	X(STALE_NOTIFY, STEER, "epoch older than the promise: steered so that it is answered")     \
	X(BODY_CRC, DROP, "body checksum wrong")                                                   \
	X(BLOCK_CRC, DROP, "block checksum wrong after all fragments arrived")                     \
	X(UNEXPECTED, DROP, "answer to nothing that was asked")                                    \
	X(NO_BUFFER, DROP, "no buffer free: sender will retransmit")

enum xbd_verdict {
#define X(name, what, text) XBD_V_##name,
	XBD_VERDICTS(X)
#undef X
		XBD_V_END
};

#endif
