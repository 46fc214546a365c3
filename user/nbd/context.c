/* SPDX-License-Identifier: BSD-2-Clause */
/* LIST_META_CONTEXT and SET_META_CONTEXT: there is one context, base:allocation. */
#include "nbd/internal.h"

#define CONTEXT_ID 1u

static const char context_name[] = "base:allocation";

struct cursor {
	const uint8_t *p;
	uint32_t left;
};

/* u32 length and that many bytes. False if there are not so many. */
static bool take_string(struct cursor *in, const uint8_t **s, uint32_t *len)
{
	if (in->left < 4)
		return false;
	*len = nbd_get32(in->p);
	if (*len > in->left - 4)
		return false;
	*s = in->p + 4;
	in->p += 4 + *len;
	in->left -= 4 + *len;
	return true;
}

static bool is(const uint8_t *s, uint32_t len, const char *what, size_t n)
{
	return len == n && !memcmp(s, what, n);
}

/* True if any of the n queries selects the context; *ok = they are well-formed and all there is. */
static bool selected(struct cursor *in, uint32_t n, bool list, bool *ok)
{
	bool found = list && n == 0;
	const uint8_t *s;
	uint32_t len;

	*ok = false;
	while (n-- > 0) {
		if (!take_string(in, &s, &len))
			return false;
		found |= is(s, len, context_name, sizeof(context_name) - 1);
		/* A whole name space can be listed, but not set. */
		found |= list && is(s, len, context_name, sizeof("base:") - 1);
	}
	*ok = in->left == 0;
	return found;
}

static void reply_context(struct nbd_conn *c, uint32_t opt)
{
	uint8_t data[4 + sizeof(context_name) - 1];

	nbd_put32(data, opt == NBD_OPT_SET_META_CONTEXT ? CONTEXT_ID : 0);
	memcpy(data + 4, context_name, sizeof(context_name) - 1);
	nbd_option_reply(c, opt, NBD_REP_META_CONTEXT, data, sizeof(data));
}

/* u32 length of export name, name, u32 number of queries, each u32 length and text */
void nbd_option_context(struct nbd_conn *c, uint32_t opt, const uint8_t *data, uint32_t len)
{
	struct cursor in = {data, len};
	bool set = opt == NBD_OPT_SET_META_CONTEXT, found, ok;
	const uint8_t *name;
	uint32_t name_len, n;

	if (set)
		c->context = false;
	if (!c->structured || !take_string(&in, &name, &name_len) || in.left < 4) {
		nbd_option_invalid(c, opt);
		return;
	}
	n = nbd_get32(in.p);
	in.p += 4;
	in.left -= 4;
	found = selected(&in, n, !set, &ok);
	if (!ok) {
		nbd_option_invalid(c, opt);
		return;
	}
	if (!nbd_name_known(c, name, name_len)) {
		NBD_COUNT(c, e_export_name);
		nbd_option_reply(c, opt, NBD_REP_ERR_UNKNOWN, NULL, 0);
		return;
	}
	if (found)
		reply_context(c, opt);
	if (set)
		c->context = found;
	nbd_option_reply(c, opt, NBD_REP_ACK, NULL, 0);
}
