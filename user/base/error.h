/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The errors of xbd: int, 0 = success, negative = an errno value where one fits (-EIO, -ENOSPC,
 * ...) or one of xbd/error.h.
 */
#ifndef XBD_ERROR_H
#define XBD_ERROR_H

#include <errno.h>

#include "xbd/error.h"

/* Text of a code (either sign); errno values by strerror. Static storage, never NULL. */
const char *xbd_strerror(int err);

#endif
