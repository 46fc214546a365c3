/* SPDX-License-Identifier: BSD-2-Clause */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "base/assert.h"
#include "model.h"
#include "store/internal.h"
#include "trial.h"

#define FIRST_BLOCK (FMT_EXT_BLOCKS - MODEL_BLOCKS / 2) /* half in one extent, half in the next */

struct trial_total total;

uint64_t trial_rand(struct trial *r, uint64_t n)
{
	return fakedisk_rand(&r->rng) % n;
}

void trial_check(struct trial *r, bool ok, const char *what)
{
	if (ok)
		return;
	printf("seed %llu: %s\n", (unsigned long long)r->seed, what);
	fflush(stdout);
	abort();
}

static uint64_t new_version(struct trial *r)
{
	uint64_t back = trial_rand(r, 4) ? 0 : trial_rand(r, 40);

	r->version += 1 + trial_rand(r, 3);
	return r->version > back ? r->version - back : r->version;
}

static bool failed(const struct trial *r);

/* --- completions --- */

static void read_acked(struct trial *r, struct slot *s)
{
	for (uint32_t i = 0; i < s->op.count; i++) {
		struct model_block *b = &r->block[s->op.shard][s->op.block - FIRST_BLOCK + i];
		const struct store_block *got = &s->blocks[i];
		enum content c = content_of(got->ver);
		uint32_t want = c == DATA_C   ? 0
				: c == TRIM_C ? XBD_F_TRIM | XBD_F_ZERO
					      : XBD_F_ZERO;
		struct states now;

		if (r->faults && got->flags == XBD_F_BAD) {
			total.bad++;
			continue;
		}
		trial_check(r, got->flags == want, "read: flags do not fit the version");
		trial_check(r,
			    filled(s->buf + (size_t)i * XBD_BLOCK_SIZE, s->op.shard,
				   s->op.block + i, c == DATA_C ? got->ver : 0),
			    "read: content is not of its version");
		model_now(b, &now);
		trial_check(r,
			    states_has(&s->may[i], got->ver) || states_has(&now, got->ver) ||
				    model_since(b, s->since[i], got->ver),
			    "read: version cannot be");
		if (b->acks == s->acks[i])
			trial_check(r, model_seen(b, got->ver), "read: version cannot be now");
		total.blocks++;
	}
	total.reads++;
}

static void change_acked(struct trial *r, struct slot *s)
{
	struct store_op *op = &s->op;
	bool ok = op->res == 0;

	trial_check(r, ok || op->res == -ENOSPC || (op->kind == STORE_REPAIR && op->res == -ESTALE),
		    "unexpected error");
	for (uint32_t i = 0; i < op->count && op->block + i < FIRST_BLOCK + MODEL_BLOCKS; i++) {
		struct model_block *b = &r->block[op->shard][op->block - FIRST_BLOCK + i];

		trial_check(r, model_ack(b, &s->m, ok), "acknowledged what cannot be");
	}
}

static void done(struct store_op *op)
{
	struct slot *s = op->owner;
	struct trial *r = (struct trial *)op->cookie;

	XBD_ASSERT(s->busy);
	s->busy = false;
	r->busy--;
	if (r->faults && op->res == -XBD_EFAILED) {
		total.failed++;
		trial_check(r, failed(r), "-XBD_EFAILED without failure");
		return; /* may or may not have happened */
	}
	total.acked++;
	switch (op->kind) {
	case STORE_READ:
		trial_check(r, op->res == 0, "read failed");
		read_acked(r, s);
		break;
	case STORE_STATE:
	case STORE_DROP:
		trial_check(r, op->res == 0, "state not taken");
		if (s->prom > r->prom_acked[op->shard])
			r->prom_acked[op->shard] = s->prom;
		trial_check(r, store_state(r->rig.st, op->shard)->prom >= s->prom,
			    "state went back");
		if (op->kind == STORE_DROP)
			for (unsigned i = 0; i < MODEL_BLOCKS; i++)
				trial_check(r, model_ack(&r->block[op->shard][i], &s->m, true),
					    "drop cannot be");
		break;
	default:
		change_acked(r, s);
	}
}

/* --- work --- */

static struct model_block *first_block(struct trial *r, struct slot *s)
{
	return &r->block[s->op.shard][s->op.block - FIRST_BLOCK];
}

static void pick_range(struct trial *r, struct slot *s)
{
	uint32_t at = (uint32_t)trial_rand(r, MODEL_BLOCKS), n;

	n = trial_rand(r, 3) ? 1 : 1 + (uint32_t)trial_rand(r, XBD_OP_BLOCKS);
	if (n > MODEL_BLOCKS - at)
		n = MODEL_BLOCKS - at;
	s->op.block = FIRST_BLOCK + at;
	s->op.count = (uint16_t)n;
}

static void submit_model(struct trial *r, struct slot *s, uint8_t kind)
{
	s->m = (struct model_op){.kind = kind, .ver = s->op.ver, .expect = s->op.expect};
	for (uint32_t i = 0; i < s->op.count && s->op.block + i < FIRST_BLOCK + MODEL_BLOCKS; i++)
		model_submit(first_block(r, s) + i, &s->m);
}

static void make_data(struct slot *s)
{
	for (uint32_t i = 0; i < s->op.count; i++) {
		uint8_t *p = s->buf + (size_t)i * XBD_BLOCK_SIZE;

		fill(p, s->op.shard, s->op.block + i, s->op.ver);
		s->crc[i] = crc32c_block(s->op.shard, s->op.block + i, s->op.ver, p);
	}
	s->op.buf = s->buf;
	s->op.crc = s->crc;
}

static void make_put(struct trial *r, struct slot *s)
{
	pick_range(r, s);
	s->op.ver = new_version(r);
	if (content_of(s->op.ver) == DATA_C) {
		s->op.kind = STORE_WRITE;
		make_data(s);
	} else {
		s->op.kind = STORE_ZERO;
		s->op.flags = content_of(s->op.ver) == TRIM_C ? STORE_F_TRIM : 0;
		if (trial_rand(r, 8) == 0)
			s->op.count = (uint16_t)(MODEL_BLOCKS + trial_rand(r, 30000));
	}
	submit_model(r, s, M_PUT);
}

static void make_repair(struct trial *r, struct slot *s)
{
	const struct states *may;
	uint64_t ver;

	pick_range(r, s);
	s->op.count = 1;
	s->op.kind = STORE_REPAIR;
	may = &first_block(r, s)->may;
	s->op.expect = may->v[trial_rand(r, may->n)];
	switch (trial_rand(r, 8)) {
	case 0:
		ver = 0;
		break;
	case 1 ... 3: /* up: what is written next is older */
		ver = r->version + trial_rand(r, 300);
		break;
	case 4 ... 5: /* down */
		ver = 1 + trial_rand(r, r->version + 1);
		break;
	default:
		ver = new_version(r);
	}
	s->op.ver = ver;
	if (content_of(ver) == DATA_C)
		make_data(s);
	else
		s->op.flags = content_of(ver) == TRIM_C ? STORE_F_TRIM : STORE_F_ZERO;
	submit_model(r, s, M_REPAIR);
}

static void make_read(struct trial *r, struct slot *s)
{
	s->op.kind = STORE_READ;
	pick_range(r, s);
	s->op.buf = s->buf;
	s->op.blocks = s->blocks;
	for (uint32_t i = 0; i < s->op.count; i++) {
		const struct model_block *b = first_block(r, s) + i;

		model_now(b, &s->may[i]);
		s->acks[i] = b->acks;
		s->since[i] = b->nlog;
	}
}

static void make_state(struct trial *r, struct slot *s, uint8_t kind)
{
	s->op.kind = kind;
	s->prom = ++r->prom_sent[s->op.shard];
	s->state = (struct xbd_state){.prom = s->prom, .synced = s->prom, .nlin = 1};
	s->op.state = &s->state;
	if (kind != STORE_DROP)
		return;
	s->m = (struct model_op){.kind = M_DROP};
	for (unsigned i = 0; i < MODEL_BLOCKS; i++)
		model_submit(&r->block[s->op.shard][i], &s->m);
}

static void submit_one(struct trial *r)
{
	struct slot *s = r->ops;
	uint64_t what = trial_rand(r, 1000);
	uint8_t *buf;

	while (s->busy)
		s++;
	XBD_ASSERT(s < r->ops + OPS);
	buf = s->buf;
	memset(&s->op, 0, sizeof(s->op));
	s->buf = buf;
	s->op.shard = (uint32_t)trial_rand(r, MODEL_SHARDS);
	s->op.owner = s;
	s->op.cookie = (uint64_t)(uintptr_t)r;
	s->op.done = done;
	if (what < r->states)
		make_state(r, s, STORE_STATE);
	else if (what < r->states + r->drops)
		make_state(r, s, STORE_DROP);
	else if (what < r->states + r->drops + r->repairs)
		make_repair(r, s);
	else if (what < 800)
		make_put(r, s);
	else
		make_read(r, s);
	s->busy = true;
	r->busy++;
	total.ops++;
	store_submit(r->rig.st, &s->op);
	if (s->op.kind == STORE_STATE || s->op.kind == STORE_DROP)
		memset(&s->state, 0xff, sizeof(s->state)); /* was copied */
}

/* --- after a crash --- */

static void check_block(struct trial *r, uint32_t shard, uint32_t i)
{
	struct store_block b;
	char text[200];
	struct states may;

	trial_check(r, rig_read(&r->rig, shard, FIRST_BLOCK + i, &b) == 0,
		    "read after recovery failed");
	trial_check(r, !(b.flags & XBD_F_BAD), "damaged block after recovery");
	model_now(&r->block[shard][i], &may);
	if (!states_has(&may, b.ver)) {
		snprintf(text, sizeof(text),
			 "after recovery shard %u block %u holds %llu, not one of %u states from "
			 "%llu",
			 shard, i, (unsigned long long)b.ver, may.n, (unsigned long long)may.v[0]);
		trial_check(r, false, text);
	}
	trial_check(r, model_recovered(&r->block[shard][i], b.ver), "cannot be");
	total.blocks++;
}

void trial_check_all(struct trial *r)
{
	const char *why = audit(r->rig.st, r->faults);

	trial_check(r, !why, why);
	for (uint32_t s = 0; s < MODEL_SHARDS; s++) {
		const struct xbd_state *state = store_state(r->rig.st, s);

		trial_check(r, state, "shard lost");
		trial_check(r, state->prom >= r->prom_acked[s] && state->prom <= r->prom_sent[s],
			    "state lost or invented");
		trial_check(r, state->synced == state->prom, "shard demoted without damage");
		r->prom_acked[s] = r->prom_sent[s] = state->prom;
		for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
			check_block(r, s, i);
	}
}

static void open_done(void *ctx, int err)
{
	((struct rig *)ctx)->err = err;
}

int trial_open(struct trial *r)
{
	r->rig.st = store_new(fakedisk_get(r->rig.fd));
	XBD_ASSERT(r->rig.st);
	r->rig.err = 1;
	store_open(r->rig.st, open_done, &r->rig);
	fakedisk_run(r->rig.fd);
	trial_check(r, r->rig.err != 1, "open hangs");
	if (r->rig.err) {
		store_free(r->rig.st);
		r->rig.st = NULL;
	}
	return r->rig.err;
}

/* Opens; sometimes the power fails again on the way. */
static void recover(struct trial *r)
{
	while (trial_rand(r, 3) == 0) {
		uint64_t steps = trial_rand(r, 120);

		r->rig.st = store_new(fakedisk_get(r->rig.fd));
		XBD_ASSERT(r->rig.st);
		r->rig.err = 1;
		store_open(r->rig.st, open_done, &r->rig);
		while (steps-- && fakedisk_step(r->rig.fd))
			;
		trial_check(r, r->rig.err == 1 || r->rig.err == 0, store_why(r->rig.st));
		total.in_recovery += r->rig.err == 1;
		fakedisk_crash(r->rig.fd);
		store_free(r->rig.st);
		total.crashes++;
	}
	trial_check(r, trial_open(r) == 0, "open failed");
}

void trial_cut(struct trial *r)
{
	struct store_counters n;

	store_counters(r->rig.st, &n);
	total.checkpoints += n.checkpoints;
	fakedisk_crash(r->rig.fd);
	store_free(r->rig.st);
	r->rig.st = NULL;
	for (unsigned i = 0; i < OPS; i++)
		r->ops[i].busy = false;
	r->busy = 0;
	total.crashes++;
}

void trial_crash(struct trial *r)
{
	trial_cut(r);
	recover(r);
	trial_check_all(r);
}

static bool failed(const struct trial *r)
{
	struct store_info info;

	if (!r->faults)
		return false;
	store_info(r->rig.st, &info);
	return info.failed;
}

void trial_settle(struct trial *r)
{
	const char *why;

	for (unsigned i = 0; r->busy; i++) {
		rig_settle(&r->rig);
		trial_check(r, i < 100000, "operations hang");
	}
	rig_settle(&r->rig);
	why = failed(r) ? NULL : audit(r->rig.st, r->faults);
	trial_check(r, !why, why);
}

void trial_work(struct trial *r, unsigned turns)
{
	unsigned limit = 1 + (unsigned)trial_rand(r, OPS);

	for (unsigned i = 0; i < turns && !failed(r); i++) {
		uint64_t cut = r->rig.st->ckpt.running ? r->ckpt_crashes : r->crashes;

		if (r->busy < limit && trial_rand(r, 3))
			submit_one(r);
		if (trial_rand(r, 2))
			store_kick(r->rig.st);
		for (uint64_t n = trial_rand(r, r->pace); n; n--)
			fakedisk_step(r->rig.fd);
		if (trial_rand(r, 1000) < cut)
			trial_crash(r);
		else if (trial_rand(r, 400) == 0)
			trial_settle(r);
	}
}

static void set_up(struct trial *r)
{
	for (unsigned i = 0; i < OPS; i++) {
		r->ops[i].buf = aligned_alloc(4096, XBD_OP_BLOCKS * XBD_BLOCK_SIZE);
		XBD_ASSERT(r->ops[i].buf);
	}
	for (uint32_t s = 0; s < MODEL_SHARDS; s++) {
		trial_check(r, rig_state(&r->rig, s, 1) == 0, "no state");
		r->prom_acked[s] = r->prom_sent[s] = 1;
		for (unsigned i = 0; i < MODEL_BLOCKS; i++)
			r->block[s][i].may.n = 1;
	}
}

struct trial *trial_new(uint64_t seed)
{
	struct trial *r = calloc(1, sizeof(*r));
	struct rig_opts o = {.format = {.shards_max = 4, .seed = seed}};

	XBD_ASSERT(r);
	r->seed = r->rng = seed;
	o.format.journal_bytes = (16 + trial_rand(r, 40)) * 4096;
	o.disk = (struct fakedisk_opts){
		.size = 6200 * 1024 + o.format.journal_bytes +
			trial_rand(r, 2) * trial_rand(r, 2048) * 1024,
		.seed = seed,
		.volatile_cache = trial_rand(r, 2),
		.discard = trial_rand(r, 2),
		.order = (uint8_t)trial_rand(r, 3),
	};
	memcpy(o.format.uuid.b, &seed, sizeof(seed));
	r->crashes = 2 + (unsigned)trial_rand(r, 20);
	r->repairs = trial_rand(r, 2) ? 0 : 10 + (unsigned)trial_rand(r, 200);
	r->ckpt_crashes = r->crashes * (trial_rand(r, 2) ? 1 : 6);
	r->pace = trial_rand(r, 2) ? 2 : 4;
	r->states = trial_rand(r, 4) ? 15 : 100;
	r->drops = trial_rand(r, 4) ? 2 : 30;
	rig_init(&r->rig, &o);
	set_up(r);
	total.runs++;
	return r;
}

void trial_free(struct trial *r)
{
	for (unsigned i = 0; i < OPS; i++)
		free(r->ops[i].buf);
	rig_free(&r->rig);
	free(r);
}
