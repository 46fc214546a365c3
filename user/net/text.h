/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses: as text, and which are wildcards. */
#ifndef XBD_NET_TEXT_H
#define XBD_NET_TEXT_H

#include <stdbool.h>
#include <sys/socket.h>

#define NET_WHY	     256 /* bytes of a `why` line */
#define ADDRESS_TEXT 64	 /* bytes of an address as text */

/* "10.0.0.1:7117", "[fd00::1]:7117", "any port" without an address. */
void address_text(char *text, const struct sockaddr_storage *sa);

/* Any address of the host rather than a certain one. */
bool address_is_any(const struct sockaddr_storage *sa);

#endif
