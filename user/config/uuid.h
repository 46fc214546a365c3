/* SPDX-License-Identifier: BSD-2-Clause */
/* UUIDs of stores, volumes and clusters: text, random, zero test. */
#ifndef XBD_UUID_H
#define XBD_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"

#define XBD_UUID_TEXT 37 /* bytes of the text form, with its NUL */

/* 8-4-4-4-12 hex digits, lower case. */
void xbd_uuid_text(const struct xbd_uuid *u, char out[XBD_UUID_TEXT]);
/* 0 or -EINVAL (then *u is untouched). Upper case is accepted. */
int xbd_uuid_parse(const char *text, struct xbd_uuid *u);
/* Version 4 (random). 0 or negative errno. */
int xbd_uuid_random(struct xbd_uuid *u);
/* Any random bytes from the kernel. 0 or negative errno. */
int xbd_random(void *buf, uint32_t len);

#endif
