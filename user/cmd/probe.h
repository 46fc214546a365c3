/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies on a disk before it is overwritten. */
#ifndef XBD_CMD_PROBE_H
#define XBD_CMD_PROBE_H

#include <stddef.h>

#define PROBE_BYTES (1u << 20)

/* What the first `len` bytes of a disk look like: "an xbd store", "an ext4 file system", "data";
 * NULL = all zeroes. */
const char *probe(const unsigned char *start, size_t len);

#endif
