/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int text_why(char *why, size_t why_size, int err, const char *fmt, ...)
{
	va_list ap;

	if (!why || !why_size)
		return err;
	va_start(ap, fmt);
	vsnprintf(why, why_size, fmt, ap);
	va_end(ap);
	return err;
}

static const char units[] = "KMGTPE";

/* Shift of a suffix such as "", "K", "KB", "KiB", "B"; -1 = none of these. */
static int suffix_shift(const char *s)
{
	const char *u;
	int shift = 0;

	if (!*s)
		return 0;
	u = strchr(units, toupper((unsigned char)*s));
	if (u) {
		shift = (int)(u - units + 1) * 10;
		s++;
		if (*s == 'i')
			return s[1] == 'B' && !s[2] ? shift : -1;
	}
	if (*s == 'B' || *s == 'b')
		s++;
	return *s ? -1 : shift;
}

static int size_error(const char *text, char *why, size_t why_size, const char *what)
{
	return text_why(why, why_size, -EINVAL, "\"%s\" is not a size: %s", text, what);
}

int text_size(const char *text, uint64_t *bytes, char *why, size_t why_size)
{
	unsigned __int128 value = 0, scale = 1;
	const char *p = text;
	int shift, digits = 0;
	bool frac = false;

	for (; isdigit((unsigned char)*p) || (*p == '.' && !frac && digits); p++) {
		if (*p == '.') {
			frac = true;
			continue;
		}
		if (++digits > 20)
			return size_error(text, why, why_size, "too many digits");
		value = value * 10 + (unsigned)(*p - '0');
		if (frac)
			scale *= 10;
	}
	shift = suffix_shift(p);
	if (!digits || shift < 0)
		return size_error(text, why, why_size,
				  "write a number and K, M, G or T, such as 64M or 1T");
	if (value > (unsigned __int128)UINT64_MAX * scale >> shift)
		return size_error(text, why, why_size, "larger than 16 EiB");
	value <<= shift;
	if (value % scale)
		return size_error(text, why, why_size, "not a whole number of bytes");
	*bytes = (uint64_t)(value / scale);
	return 0;
}

void text_size_exact(uint64_t bytes, char *buf, size_t size)
{
	int unit = 0;

	while (bytes && bytes % 1024 == 0 && unit < (int)sizeof(units) - 1) {
		bytes /= 1024;
		unit++;
	}
	if (unit)
		snprintf(buf, size, "%llu%c", (unsigned long long)bytes, units[unit - 1]);
	else
		snprintf(buf, size, "%llu", (unsigned long long)bytes);
}

void text_size_human(uint64_t bytes, char *buf, size_t size)
{
	double v = (double)bytes;
	int unit = 0;

	for (; v >= 1024 && unit < (int)sizeof(units) - 1; unit++)
		v /= 1024;
	if (!unit)
		snprintf(buf, size, "%llu B", (unsigned long long)bytes);
	else
		snprintf(buf, size, "%.*f %ciB", v < 10 && v != (double)(int)v ? 1 : 0, v,
			 units[unit - 1]);
}

int text_number(const char *text, uint64_t min, uint64_t max, uint64_t *out, char *why,
		size_t why_size)
{
	unsigned long long v;
	char *end;

	if (!isdigit((unsigned char)*text))
		return text_why(why, why_size, -EINVAL, "\"%s\" is not a number", text);
	errno = 0;
	v = strtoull(text, &end, 10);
	if (*end)
		return text_why(why, why_size, -EINVAL, "\"%s\" is not a number", text);
	if (errno || v < min || v > max)
		return text_why(why, why_size, -EINVAL, "%s is out of range: %llu to %llu", text,
				(unsigned long long)min, (unsigned long long)max);
	*out = v;
	return 0;
}

/* Split into host and port text. False = brackets that do not match, or too long. */
static bool split_addr(const char *text, char *host, size_t host_size, const char **port)
{
	const char *end, *start = text;
	size_t len;

	*port = NULL;
	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*port = end[1] ? end + 2 : NULL;
	} else {
		end = strchr(text, ':');
		if (end && !strchr(end + 1, ':')) /* two colons: IPv6 without a port */
			*port = end + 1;
		else
			end = text + strlen(text);
	}
	len = (size_t)(end - start);
	if (!len || len >= host_size)
		return false;
	memcpy(host, start, len);
	host[len] = 0;
	return true;
}

/* Four numbers and nothing else: inet_aton's "1.2.3" and "0x1" are mistakes here. */
static bool is_ipv4(const char *host)
{
	struct in_addr a;

	return inet_pton(AF_INET, host, &a) == 1;
}

int text_addr(const char *text, uint16_t default_port, struct sockaddr_storage *addr,
	      socklen_t *len, char *why, size_t why_size)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				       .ai_socktype = SOCK_DGRAM};
	struct addrinfo *ai;
	const char *port_text;
	char host[64], port[8];
	uint64_t n = default_port;
	int err;

	if (!split_addr(text, host, sizeof(host), &port_text))
		return text_why(why, why_size, -EINVAL,
				"\"%s\" is not an address: write ADDR, ADDR:PORT or [IPV6]:PORT",
				text);
	if (port_text && text_number(port_text, 0, 65535, &n, NULL, 0))
		return text_why(why, why_size, -EINVAL, "\"%s\": the port must be 0 to 65535",
				text);
	snprintf(port, sizeof(port), "%u", (unsigned)n);
	err = is_ipv4(host) || strchr(host, ':') ? getaddrinfo(host, port, &hints, &ai)
						 : EAI_NONAME;
	if (err)
		return text_why(why, why_size, -EINVAL,
				"\"%s\" is not a numeric IPv4 or IPv6 address (host names are not "
				"looked up)",
				text);
	memset(addr, 0, sizeof(*addr));
	memcpy(addr, ai->ai_addr, ai->ai_addrlen);
	if (len)
		*len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

void text_addr_format(const struct sockaddr *addr, char *buf, size_t size)
{
	socklen_t len = addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						    : sizeof(struct sockaddr_in);
	char host[64], port[8];

	if ((addr->sa_family != AF_INET && addr->sa_family != AF_INET6) ||
	    getnameinfo(addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV)) {
		snprintf(buf, size, "?");
		return;
	}
	snprintf(buf, size, addr->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int text_name(const char *text, const char *what, char *why, size_t why_size)
{
	size_t len = strlen(text);
	bool good = len > 0 && isalnum((unsigned char)text[0]);

	if (len > XBD_NAME_MAX)
		return text_why(why, why_size, -EINVAL, "%s \"%s\" is longer than %d characters",
				what, text, XBD_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		good = good && (isalnum((unsigned char)text[i]) || strchr("._-", text[i]));
	if (!good)
		return text_why(
			why, why_size, -EINVAL,
			"%s \"%s\" is not valid: letters, digits, dot, dash and underscore, "
			"starting with a letter or digit",
			what, text);
	return 0;
}

unsigned text_distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	unsigned d[MAX + 1][MAX + 1], best;
	size_t la = strlen(a), lb = strlen(b);

	if (la > MAX || lb > MAX)
		return (unsigned)(la > lb ? la : lb);
	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}
