/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets of the NBD server. All return a descriptor or a negative errno, with the reason
 * in words in `why` (NBD_WHY bytes). */
#ifndef XBD_NBD_LISTEN_H
#define XBD_NBD_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Which file a Unix socket made. */
struct nbd_socket_file {
	char path[108];
	dev_t dev;
	ino_t ino;
};

/*
 * Mode 0660. A socket file that nobody listens on is replaced; the directory is locked meanwhile,
 * so two servers that start at once cannot both take it.
 */
int nbd_listen_unix(const char *path, struct nbd_socket_file *file, char *why);
/* Remove the file, if it is still the one that was made. */
void nbd_unlisten_unix(const struct nbd_socket_file *file);

/* IPv4 or IPv6. Addresses other than loopback only if `insecure`. *port: the port in use. */
int nbd_listen_tcp(const struct sockaddr_storage *addr, bool insecure, uint16_t *port, char *why);

#endif
