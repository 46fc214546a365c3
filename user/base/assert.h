/* SPDX-License-Identifier: BSD-2-Clause */
/* Assertions that stay on in release builds: a broken invariant stops the process. */
#ifndef XBD_ASSERT_H
#define XBD_ASSERT_H

#include <stdlib.h>

_Noreturn void xbd_assert_failed(const char *expr, const char *file, int line);

#define XBD_ASSERT(expr) ((expr) ? (void)0 : xbd_assert_failed(#expr, __FILE__, __LINE__))

#endif
