/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Public: the error numbers of xbd, beside those of errno.h; functions return them negated. Numbers
 * never change and are never reused.
 * X(NAME, value, text)
 */
#ifndef XBD_PUBLIC_ERROR_H
#define XBD_PUBLIC_ERROR_H

#define XBD_ERRORS(X)                                                                              \
	X(FENCED, 1001, "a newer writer has opened this volume; this one may not write any more")  \
	X(NOQUORUM, 1002, "no majority of replicas can be reached")                                \
	X(CORRUPT, 1003, "checksum mismatch: data on disk is damaged")                             \
	X(FORMAT, 1004, "not an xbd store, or a format this version does not know")                \
	X(INUSE, 1005, "in use by another process")                                                \
	X(TOOSMALL, 1006, "too small")                                                             \
	X(FAILED, 1007, "out of service after a disk error")                                       \
	X(EXISTS, 1008, "exists already")                                                          \
	X(NOTFOUND, 1009, "no such object")                                                        \
	X(CLOSED, 1010, "closed")                                                                  \
	X(STALE, 1011, "changed by somebody else in the meantime")                                 \
	X(CONFIG, 1012, "error in the configuration")

enum xbd_error {
#define X(name, value, text) XBD_E##name = value,
	XBD_ERRORS(X)
#undef X
};

#endif
