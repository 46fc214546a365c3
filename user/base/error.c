/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/error.h"

#include <string.h>

const char *xbd_strerror(int err)
{
	int code = err < 0 ? -err : err;

	switch (code) {
#define X(name, value, text)                                                                       \
	case XBD_E##name:                                                                          \
		return text;
		XBD_ERRORS(X)
#undef X
	default:
		return strerror(code);
	}
}
