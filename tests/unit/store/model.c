/* SPDX-License-Identifier: BSD-2-Clause */
#include "model.h"

#include "base/assert.h"

bool states_has(const struct states *s, uint64_t ver)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->v[i] == ver)
			return true;
	return false;
}

void states_add(struct states *s, uint64_t ver)
{
	if (states_has(s, ver))
		return;
	XBD_ASSERT(s->n < MODEL_STATES);
	s->v[s->n++] = ver;
}

/* Adds what `op` makes of the states in `from`. */
static void apply(const struct model_op *op, const struct states *from, struct states *to)
{
	for (unsigned i = 0; i < from->n; i++) {
		uint64_t v = from->v[i];

		if (op->kind == M_PUT)
			states_add(to, op->ver > v ? op->ver : v);
		else if (op->kind == M_DROP)
			states_add(to, 0);
		else if (v == op->expect)
			states_add(to, op->ver);
	}
}

/* Everything reachable by operations in flight, but for number `skip`. */
static void reach(const struct model_block *b, unsigned skip, struct states *s)
{
	unsigned before;

	do {
		before = s->n;
		for (unsigned i = 0; i < b->npending; i++)
			if (i != skip)
				apply(&b->pending[i], s, s);
	} while (s->n != before);
}

void model_now(const struct model_block *b, struct states *out)
{
	*out = b->may;
	reach(b, UINT32_MAX, out);
}

void model_submit(struct model_block *b, const struct model_op *op)
{
	XBD_ASSERT(b->npending < MODEL_PENDING);
	b->pending[b->npending++] = *op;
	b->log[b->nlog++ % MODEL_PENDING] = op->ver;
}

bool model_since(const struct model_block *b, uint64_t since, uint64_t ver)
{
	if (b->nlog - since > MODEL_PENDING)
		return true;
	for (uint64_t i = since; i < b->nlog; i++)
		if (b->log[i % MODEL_PENDING] == ver)
			return true;
	return false;
}

bool model_ack(struct model_block *b, const struct model_op *op, bool ok)
{
	struct states all = b->may, after = {.n = 0};
	unsigned i = 0;

	while (i < b->npending && (b->pending[i].kind != op->kind || b->pending[i].ver != op->ver ||
				   b->pending[i].expect != op->expect))
		i++;
	XBD_ASSERT(i < b->npending);
	reach(b, i, &all);
	if (ok)
		apply(op, &all, &after);
	else
		after = b->may;
	b->pending[i] = b->pending[--b->npending];
	b->may = after;
	b->acks++;
	return after.n > 0;
}

bool model_seen(struct model_block *b, uint64_t ver)
{
	struct states s;

	model_now(b, &s);
	if (!states_has(&s, ver))
		return false;
	b->may = (struct states){.v = {ver}, .n = 1};
	return true;
}

bool model_recovered(struct model_block *b, uint64_t ver)
{
	if (!model_seen(b, ver))
		return false;
	b->npending = 0;
	return true;
}
