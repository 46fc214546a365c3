/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an NBD server counts. Protocol errors are here too: each has its row. X(name, text)
 */
#ifndef XBD_NBD_COUNT_H
#define XBD_NBD_COUNT_H

#include <stdint.h>

#define NBD_COUNTERS(X)                                                                            \
	X(connections, "connections accepted")                                                     \
	X(refused, "connections closed at once: too many are open")                                \
	X(reads, "READ commands")                                                                  \
	X(writes, "WRITE commands")                                                                \
	X(flushes, "FLUSH commands")                                                               \
	X(trims, "TRIM commands")                                                                  \
	X(zeroes, "WRITE_ZEROES commands")                                                         \
	X(maps, "BLOCK_STATUS commands")                                                           \
	X(caches, "CACHE commands")                                                                \
	X(read_bytes, "bytes asked for by READ")                                                   \
	X(write_bytes, "bytes sent by WRITE")                                                      \
	X(fua, "commands with FUA")                                                                \
	X(subs, "requests to the backend")                                                         \
	X(backend_errors, "requests that the backend failed")                                      \
	X(stalls, "times a connection waited for a buffer")                                        \
	X(recvs, "receive operations")                                                             \
	X(sends, "send operations")                                                                \
	X(dropped, "connections lost with requests not yet executed")                              \
	X(e_handshake_flags, "unknown client flags in the handshake")                              \
	X(e_option_magic, "bad magic of an option")                                                \
	X(e_option_fixed, "an option from a client that does not speak fixed newstyle")            \
	X(e_option_unknown, "options not supported")                                               \
	X(e_option_invalid, "options with malformed data")                                         \
	X(e_option_size, "options that are too long")                                              \
	X(e_option_count, "too many options on one connection")                                    \
	X(e_export_name, "unknown export asked for")                                               \
	X(e_handshake_timeout, "connections closed: the handshake took too long")                  \
	X(e_magic, "bad magic of a command")                                                       \
	X(e_command, "unknown command")                                                            \
	X(e_flags, "flags that the command does not have")                                         \
	X(e_range, "range beyond the end of the export")                                           \
	X(e_length, "length not allowed for the command")                                          \
	X(e_read_only, "command that writes, on a read-only export")                               \
	X(e_context, "BLOCK_STATUS without a negotiated context")                                  \
	X(e_read_late, "connections closed: a READ failed after its reply had begun")

struct nbd_counters {
#define X(name, text) uint64_t name;
	NBD_COUNTERS(X)
#undef X
};

#endif
