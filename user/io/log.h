/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of a daemon on standard error, "xbdd[a]: text", and its word to whoever started it. Used by
 * daemons only: libraries never log. A flood is cut: LOG_BURST lines in LOG_PERIOD_MS, then one
 * line that says how many were left out.
 */
#ifndef XBD_IO_LOG_H
#define XBD_IO_LOG_H

#include <stdbool.h>

#define LOG_BURST     100u
#define LOG_PERIOD_MS 10000u

/* Strings are copied. quiet: log_info says nothing. */
void log_open(const char *program, const char *name, bool quiet);
__attribute__((format(printf, 1, 2))) void log_info(const char *fmt, ...);
/* Something is wrong: shown also when quiet. */
__attribute__((format(printf, 1, 2))) void log_warn(const char *fmt, ...);

/* One line "what: why"; without a why, the text of err. Returns err. */
int log_failed(int err, const char *what, const char *why);

/*
 * The daemon serves: prints "ready TEXT" as one line on standard output and, where systemd waits
 * for it (NOTIFY_SOCKET), tells systemd.
 */
void log_ready(const char *text);

#endif
