/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the NBD machine. */
#ifndef XBD_NBD_INTERNAL_H
#define XBD_NBD_INTERNAL_H

#include "base/assert.h"
#include "nbd/proto.h"

/* How a step of the parser ended. */
enum nbd_step {
	NBD_AGAIN, /* something was done: go on */
	NBD_MORE,  /* needs more bytes */
	NBD_STALL  /* needs a buffer, a slot or room */
};

/* Who owns a piece of output (struct nbd_out.kind). */
enum nbd_out_kind { NBD_OUT_TEXT, NBD_OUT_ITEM, NBD_OUT_REQUEST };

#define NBD_COUNT(c, name) ((c)->env->count->name++)

static inline size_t nbd_in_bytes(const struct nbd_conn *c)
{
	return c->in_tail - c->in_head;
}

/* option.c: handshake */
void nbd_greet(struct nbd_conn *c);
enum nbd_step nbd_step_greet(struct nbd_conn *c);
enum nbd_step nbd_step_option(struct nbd_conn *c);
enum nbd_step nbd_step_option_skip(struct nbd_conn *c);

/* context.c: options about metadata contexts. Data has been checked to be `len` bytes. */
void nbd_option_context(struct nbd_conn *c, uint32_t opt, const uint8_t *data, uint32_t len);
/* option.c, for context.c */
void nbd_option_reply(struct nbd_conn *c, uint32_t opt, uint32_t type, const void *data,
		      uint32_t len);
void nbd_option_invalid(struct nbd_conn *c, uint32_t opt);
bool nbd_name_known(const struct nbd_conn *c, const uint8_t *name, uint32_t len);

/* command.c: commands up to the backend */
enum nbd_step nbd_step_command(struct nbd_conn *c);
enum nbd_step nbd_step_payload(struct nbd_conn *c);
enum nbd_step nbd_step_issue(struct nbd_conn *c);
enum nbd_step nbd_step_skip(struct nbd_conn *c);
/* Throw away what is here of the c->skip bytes nobody wants; true = all of them are gone. */
bool nbd_skipped(struct nbd_conn *c);
/* Give a request for `len` bytes of the export at r->at to the backend. */
void nbd_submit(struct nbd_request *r, struct nbd_item *it, enum co_kind kind, uint32_t len);
/* PAYLOAD: `bytes` have been received straight into c->fill. */
void nbd_payload_received(struct nbd_conn *c, size_t bytes);

/* reply.c: from the backend to the output */
struct nbd_request *nbd_request_new(struct nbd_conn *c);
void nbd_request_free(struct nbd_request *r);
/* Append to the output; `r` (NULL in the handshake) is who speaks. */
void nbd_push(struct nbd_conn *c, const struct nbd_request *r, struct nbd_out *out);
/* What was held back can go. */
void nbd_release_held(struct nbd_conn *c);
/* Final reply without data; r->error says how it went. Frees r once it is sent. */
void nbd_reply(struct nbd_request *r);
/* All requests of r have been issued: it may be over already. */
void nbd_issued(struct nbd_request *r);
void nbd_done(struct co_req *req);
/* A READ whose data has to go out in one piece. */
bool nbd_in_order(const struct nbd_request *r);
/* READ in order: put out what can be put out. */
void nbd_read_advance(struct nbd_request *r);
void nbd_ready_insert(struct nbd_request *r, struct nbd_item *it);
void nbd_ready_drop(struct nbd_request *r);
uint8_t *nbd_chunk(uint8_t *p, const struct nbd_request *r, unsigned flags, unsigned type,
		   uint32_t len);

/* map.c: BLOCK_STATUS. False: one is in progress already. */
bool nbd_map_start(struct nbd_conn *c, struct nbd_request *r);
void nbd_map_run(struct nbd_conn *c);

#endif
