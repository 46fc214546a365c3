/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/assert.h"

#include <stdio.h>

_Noreturn void xbd_assert_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "xbd: assertion failed: %s (%s:%d)\n", expr, file, line);
	abort();
}
