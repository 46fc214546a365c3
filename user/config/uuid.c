/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/uuid.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"

static bool dash_at(int i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

void xbd_uuid_text(const struct xbd_uuid *u, char out[XBD_UUID_TEXT])
{
	static const char digit[] = "0123456789abcdef";
	int pos = 0;

	for (int i = 0; i < 16; i++) {
		if (dash_at(pos))
			out[pos++] = '-';
		out[pos++] = digit[u->b[i] >> 4];
		out[pos++] = digit[u->b[i] & 15];
	}
	XBD_ASSERT(pos == XBD_UUID_TEXT - 1);
	out[pos] = 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int xbd_uuid_parse(const char *text, struct xbd_uuid *u)
{
	struct xbd_uuid v;
	int pos = 0;

	if (strlen(text) != XBD_UUID_TEXT - 1)
		return -EINVAL;
	for (int i = 0; i < 16; i++) {
		if (dash_at(pos) && text[pos++] != '-')
			return -EINVAL;
		if (hex(text[pos]) < 0 || hex(text[pos + 1]) < 0)
			return -EINVAL;
		v.b[i] = (uint8_t)(hex(text[pos]) << 4 | hex(text[pos + 1]));
		pos += 2;
	}
	*u = v;
	return 0;
}

int xbd_random(void *buf, uint32_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (uint32_t)n;
	}
	return 0;
}

int xbd_uuid_random(struct xbd_uuid *u)
{
	struct xbd_uuid v;
	int err = xbd_random(&v, sizeof(v));

	if (err)
		return err;
	v.b[6] = (v.b[6] & 0x0f) | 0x40;
	v.b[8] = (v.b[8] & 0x3f) | 0x80;
	*u = v;
	return 0;
}
