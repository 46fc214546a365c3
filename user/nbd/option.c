/* SPDX-License-Identifier: BSD-2-Clause */
/* The handshake: greeting, client flags, options. */
#include "nbd/internal.h"

/* No reply to one option is longer than this. */
#define REPLY_ROOM 1024u

static uint8_t *text_room(struct nbd_conn *c, uint32_t len)
{
	uint8_t *p = c->text + c->text_out.body_len;

	XBD_ASSERT(c->text_out.body_len + len <= NBD_TEXT_BYTES);
	if (c->text_out.body_len == 0) {
		c->text_out.kind = NBD_OUT_TEXT;
		c->text_out.body = c->text;
		nbd_push(c, NULL, &c->text_out);
	}
	c->text_out.body_len += len;
	return p;
}

void nbd_greet(struct nbd_conn *c)
{
	uint8_t *p = text_room(c, NBD_GREETING_BYTES);

	p = nbd_put64(p, NBD_MAGIC);
	p = nbd_put64(p, NBD_OPT_MAGIC);
	nbd_put16(p, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
}

enum nbd_step nbd_step_greet(struct nbd_conn *c)
{
	uint32_t flags;

	if (nbd_in_bytes(c) < 4)
		return NBD_MORE;
	flags = nbd_get32(c->in + c->in_head);
	c->in_head += 4;
	if (flags & ~(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)) {
		NBD_COUNT(c, e_handshake_flags);
		nbd_conn_kill(c);
		return NBD_AGAIN;
	}
	c->fixed = flags & NBD_FIXED_NEWSTYLE;
	c->no_zeroes = flags & NBD_NO_ZEROES;
	c->state = NBD_OPTION;
	return NBD_AGAIN;
}

void nbd_option_reply(struct nbd_conn *c, uint32_t opt, uint32_t type, const void *data,
		      uint32_t len)
{
	uint8_t *p = text_room(c, NBD_REP_BYTES + len);

	p = nbd_put64(p, NBD_REP_MAGIC);
	p = nbd_put32(p, opt);
	p = nbd_put32(p, type);
	p = nbd_put32(p, len);
	if (len)
		memcpy(p, data, len);
}

void nbd_option_invalid(struct nbd_conn *c, uint32_t opt)
{
	static const char text[] = "malformed option";

	NBD_COUNT(c, e_option_invalid);
	nbd_option_reply(c, opt, NBD_REP_ERR_INVALID, text, sizeof(text) - 1);
}

bool nbd_name_known(const struct nbd_conn *c, const uint8_t *name, uint32_t len)
{
	return len == 0 || (len == strlen(c->env->name) && !memcmp(name, c->env->name, len));
}

static uint16_t transmission_flags(const struct nbd_conn *c)
{
	uint16_t flags =
		NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_CAN_MULTI_CONN | NBD_SEND_CACHE;

	if (c->structured)
		flags |= NBD_SEND_DF;
	if (c->env->read_only)
		return flags | NBD_READ_ONLY;
	return flags | NBD_SEND_TRIM | NBD_SEND_WRITE_ZEROES | NBD_SEND_FAST_ZERO;
}

static void option_export_name(struct nbd_conn *c, const uint8_t *data, uint32_t len)
{
	uint32_t zeroes = c->no_zeroes ? 0 : 124;
	uint8_t *p;

	if (!nbd_name_known(c, data, len)) {
		/* The protocol has no error reply to this option. */
		NBD_COUNT(c, e_export_name);
		nbd_conn_kill(c);
		return;
	}
	c->size = c->env->size;
	p = text_room(c, 10 + zeroes);
	p = nbd_put64(p, c->size);
	p = nbd_put16(p, transmission_flags(c));
	memset(p, 0, zeroes);
	c->state = NBD_COMMAND;
}

static void option_abort(struct nbd_conn *c)
{
	nbd_option_reply(c, NBD_OPT_ABORT, NBD_REP_ACK, NULL, 0);
	nbd_conn_drain(c);
}

static void option_list(struct nbd_conn *c, uint32_t len)
{
	uint8_t data[4 + NBD_NAME_MAX];
	uint32_t n = (uint32_t)strlen(c->env->name);

	if (len) {
		nbd_option_invalid(c, NBD_OPT_LIST);
		return;
	}
	nbd_put32(data, n);
	memcpy(data + 4, c->env->name, n);
	nbd_option_reply(c, NBD_OPT_LIST, NBD_REP_SERVER, data, 4 + n);
	nbd_option_reply(c, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
}

static void info_text(struct nbd_conn *c, uint32_t opt, uint16_t type, const char *text)
{
	uint8_t data[2 + NBD_NAME_MAX];
	uint32_t n = (uint32_t)strlen(text);

	nbd_put16(data, type);
	memcpy(data + 2, text, n);
	nbd_option_reply(c, opt, NBD_REP_INFO, data, 2 + n);
}

static void info_block_size(struct nbd_conn *c, uint32_t opt)
{
	uint8_t data[14], *p;

	p = nbd_put16(data, NBD_INFO_BLOCK_SIZE);
	p = nbd_put32(p, 1);
	p = nbd_put32(p, XBD_BLOCK_SIZE);
	nbd_put32(p, NBD_PAYLOAD_MAX);
	nbd_option_reply(c, opt, NBD_REP_INFO, data, sizeof(data));
}

static void info_export(struct nbd_conn *c, uint32_t opt)
{
	uint8_t data[12], *p;

	c->size = c->env->size;
	p = nbd_put16(data, NBD_INFO_EXPORT);
	p = nbd_put64(p, c->size);
	nbd_put16(p, transmission_flags(c));
	nbd_option_reply(c, opt, NBD_REP_INFO, data, sizeof(data));
}

/* u32 length of name, name, u16 number of information requests, each u16 */
static void option_info(struct nbd_conn *c, uint32_t opt, const uint8_t *data, uint32_t len)
{
	uint32_t name_len = len >= 6 ? nbd_get32(data) : 0, n, wanted = 0;

	if (len < 6 || name_len > len - 6) {
		nbd_option_invalid(c, opt);
		return;
	}
	n = nbd_get16(data + 4 + name_len);
	if (len != 6 + name_len + 2 * n) {
		nbd_option_invalid(c, opt);
		return;
	}
	if (!nbd_name_known(c, data + 4, name_len)) {
		static const char text[] = "no such export";

		NBD_COUNT(c, e_export_name);
		nbd_option_reply(c, opt, NBD_REP_ERR_UNKNOWN, text, sizeof(text) - 1);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t type = nbd_get16(data + 6 + name_len + 2 * i);

		wanted |= type < 16 ? 1u << type : 0;
	}
	info_export(c, opt);
	if (wanted & 1u << NBD_INFO_NAME)
		info_text(c, opt, NBD_INFO_NAME, c->env->name);
	if (wanted & 1u << NBD_INFO_DESCRIPTION && c->env->description[0])
		info_text(c, opt, NBD_INFO_DESCRIPTION, c->env->description);
	if (wanted & 1u << NBD_INFO_BLOCK_SIZE)
		info_block_size(c, opt);
	nbd_option_reply(c, opt, NBD_REP_ACK, NULL, 0);
	if (opt == NBD_OPT_GO)
		c->state = NBD_COMMAND;
}

static void option_structured(struct nbd_conn *c, uint32_t len)
{
	if (len) {
		nbd_option_invalid(c, NBD_OPT_STRUCTURED_REPLY);
		return;
	}
	c->structured = true;
	nbd_option_reply(c, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
}

static void option(struct nbd_conn *c, uint32_t opt, const uint8_t *data, uint32_t len)
{
	switch (opt) {
	case NBD_OPT_EXPORT_NAME:
		option_export_name(c, data, len);
		break;
	case NBD_OPT_ABORT:
		option_abort(c);
		break;
	case NBD_OPT_LIST:
		option_list(c, len);
		break;
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		option_info(c, opt, data, len);
		break;
	case NBD_OPT_STRUCTURED_REPLY:
		option_structured(c, len);
		break;
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT:
		nbd_option_context(c, opt, data, len);
		break;
	default: /* STARTTLS is one of them */
		NBD_COUNT(c, e_option_unknown);
		nbd_option_reply(c, opt, NBD_REP_ERR_UNSUP, NULL, 0);
		break;
	}
}

/* What ends the connection: after it nothing that follows makes sense. */
static bool option_fatal(struct nbd_conn *c, const uint8_t *head)
{
	if (nbd_get64(head) != NBD_OPT_MAGIC)
		NBD_COUNT(c, e_option_magic);
	else if (!c->fixed && nbd_get32(head + 8) != NBD_OPT_EXPORT_NAME)
		NBD_COUNT(c, e_option_fixed);
	else if (nbd_get32(head + 12) > NBD_OPT_SKIP_MAX)
		NBD_COUNT(c, e_option_size);
	else if (c->options >= NBD_OPTS_MAX)
		NBD_COUNT(c, e_option_count);
	else
		return false;
	nbd_conn_kill(c);
	return true;
}

enum nbd_step nbd_step_option(struct nbd_conn *c)
{
	const uint8_t *head = c->in + c->in_head;
	uint32_t opt, len;

	if (nbd_in_bytes(c) < NBD_OPT_BYTES)
		return NBD_MORE;
	if (option_fatal(c, head))
		return NBD_AGAIN;
	opt = nbd_get32(head + 8);
	len = nbd_get32(head + 12);
	if (NBD_TEXT_BYTES - c->text_out.body_len < REPLY_ROOM)
		return NBD_STALL;
	if (len > NBD_OPT_DATA_MAX) {
		NBD_COUNT(c, e_option_size);
		c->options++;
		c->in_head += NBD_OPT_BYTES;
		c->opt = opt;
		c->skip = len;
		c->state = NBD_OPTION_SKIP;
		return NBD_AGAIN;
	}
	if (nbd_in_bytes(c) < NBD_OPT_BYTES + len)
		return NBD_MORE;
	c->options++;
	c->in_head += NBD_OPT_BYTES + len;
	option(c, opt, head + NBD_OPT_BYTES, len);
	return NBD_AGAIN;
}

enum nbd_step nbd_step_option_skip(struct nbd_conn *c)
{
	if (!nbd_skipped(c))
		return NBD_MORE;
	if (c->opt == NBD_OPT_EXPORT_NAME) {
		NBD_COUNT(c, e_export_name);
		nbd_conn_kill(c);
		return NBD_AGAIN;
	}
	if (c->opt == NBD_OPT_SET_META_CONTEXT)
		c->context = false;
	nbd_option_reply(c, c->opt, NBD_REP_ERR_TOO_BIG, NULL, 0);
	c->state = NBD_OPTION;
	return NBD_AGAIN;
}
