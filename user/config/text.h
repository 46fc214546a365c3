/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values as people write them: sizes with suffixes, addresses with ports, names. The same rules for
 * the command line, the configuration file and the metadata. On error a function returns -EINVAL,
 * leaves its outputs untouched and, where it has `why`, puts one line there that quotes the value.
 */
#ifndef XBD_TEXT_H
#define XBD_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define XBD_NAME_MAX  31 /* bytes of a node's, volume's or export's name without NUL */
#define XBD_ADDR_TEXT 80 /* bytes of an address in text with its NUL */

/* "64M", "1T", "4096", "1.5G": powers of 1024, suffix K M G T P E (a following "iB" or "B" is
 * accepted). Must come to whole bytes. */
int text_size(const char *text, uint64_t *bytes, char *why, size_t why_size);
/* The shortest exact form: "64M", "1T", "1000". */
void text_size_exact(uint64_t bytes, char *buf, size_t size);
/* For humans, rounded: "1.5 GiB". */
void text_size_human(uint64_t bytes, char *buf, size_t size);

/* Decimal number in [min, max]. */
int text_number(const char *text, uint64_t min, uint64_t max, uint64_t *out, char *why,
		size_t why_size);

/*
 * "ADDR", "ADDR:PORT", "[IPV6]:PORT", "IPV6", "IPV6%IF": numeric addresses only, names are not
 * looked up. Without a port, default_port is taken.
 */
int text_addr(const char *text, uint16_t default_port, struct sockaddr_storage *addr,
	      socklen_t *len, char *why, size_t why_size);
/* "1.2.3.4:7117" or "[::1]:7117". */
void text_addr_format(const struct sockaddr *addr, char *buf, size_t size);

/* Names: 1..XBD_NAME_MAX of A-Z a-z 0-9 . _ - and the first one a letter or digit. `what` is put
 * into the message: "volume name". */
int text_name(const char *text, const char *what, char *why, size_t why_size);

/* Format one line into why (NULL is fine) and return err. */
int text_why(char *why, size_t why_size, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* How different two words are: edits with swaps counted once. For "did you mean". */
unsigned text_distance(const char *a, const char *b);

#endif
