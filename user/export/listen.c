/* SPDX-License-Identifier: BSD-2-Clause */
/* Where NBD clients connect, and the URI that says so. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

#include "base/error.h"
#include "export/private.h"
#include "io/patience.h"

#define NBD_PORT 10809

int export_listen_plan(struct export *x, char *why, size_t why_size)
{
	const struct conf_export *c = &x->args->conf->export;
	socklen_t len;
	int err, n = 0;

	if (c->tcp[0]) {
		err = text_addr(c->tcp, NBD_PORT, &x->tcp, &len, why, why_size);
		if (err)
			return err;
	}
	if (c->unix_socket[0])
		n = snprintf(x->unix_path, sizeof(x->unix_path), "%s", c->unix_socket);
	else if (!c->tcp[0])
		n = snprintf(x->unix_path, sizeof(x->unix_path), "%s/%s.nbd",
			     x->args->conf->run_dir, x->args->volume);
	if (n < 0 || (size_t)n >= sizeof(x->unix_path)) {
		snprintf(why, why_size, "the path of the Unix socket is too long");
		return -ENAMETOOLONG;
	}
	return 0;
}

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
	if (a->ss_family == AF_INET6)
		((struct sockaddr_in6 *)a)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)a)->sin_port = htons(port);
}

int export_listen(struct export *x, char *why)
{
	const struct export_args *a = x->args;
	const struct nbd_backend backend = {.ctx = x, .submit = export_nbd_submit};
	struct nbd_server_config cfg = {
		.export = {.name = x->name, .size = a->size, .read_only = a->read_only},
		.unix_path = x->unix_path[0] ? x->unix_path : NULL,
		.tcp = x->tcp.ss_family ? &x->tcp : NULL,
	};
	unsigned tries = 0;
	int err;

	do
		err = nbd_server_open(&x->nbd, &x->loop, &cfg, &backend, why);
	while (patience(err, &tries));
	if (err)
		return err;
	if (x->tcp.ss_family) {
		set_port(&x->tcp, nbd_server_port(x->nbd));
		text_addr_format((const struct sockaddr *)&x->tcp, x->tcp_text,
				 sizeof(x->tcp_text));
	}
	return 0;
}

/* Append text, with what has a meaning in URIs escaped. */
static size_t put(char *buf, size_t size, size_t at, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/";

	for (; *text && at + 4 < size; text++) {
		if (strchr(plain, *text))
			buf[at++] = *text;
		else
			at += (size_t)snprintf(buf + at, size - at, "%%%02X", (unsigned char)*text);
	}
	buf[at] = '\0';
	return at;
}

void export_uri(const struct export *x, char *buf, size_t size)
{
	size_t at;

	if (x->unix_path[0]) {
		at = (size_t)snprintf(buf, size, "nbd+unix:///");
		at = put(buf, size, at, x->name);
		at += (size_t)snprintf(buf + at, size - at, "?socket=");
		put(buf, size, at, x->unix_path);
	} else {
		at = (size_t)snprintf(buf, size, "nbd://%s/", x->tcp_text);
		put(buf, size, at, x->name);
	}
}
