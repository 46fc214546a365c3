/* SPDX-License-Identifier: BSD-2-Clause */
/* UUIDs as bytes: compared, never interpreted. Text and random ones are in config/uuid.h. */
#ifndef XBD_BASE_UUID_H
#define XBD_BASE_UUID_H

#include <stdbool.h>
#include <string.h>

#include "proto/wire.h"

static inline bool uuid_equal(const struct xbd_uuid *a, const struct xbd_uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* All zero: "none". */
static inline bool uuid_zero(const struct xbd_uuid *a)
{
	static const struct xbd_uuid zero;

	return uuid_equal(a, &zero);
}

#endif
