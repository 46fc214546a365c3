/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: compare one region on the stores that matter and make them equal, block by block. The same
 * code decides versions at open (voters differ after a crash), fills learners and returning stores,
 * and replaces damaged copies. REPAIR is a compare-and-set on the version listed, so whatever else
 * happens to the block in between wins.
 *
 *   LIST -> per block: [READ ->] REPAIR -> ... -> region unmarked, unless something got in between
 */
#include <string.h>

#include "base/crc32c.h"
#include "coordinator/internal.h"

#define LIST_BAD       XBD_F_BAD
#define STUCK_RETRY_NS (500 * NS_MS)

static void step_blocks(struct cshard *sh, struct job *j);

static void set_timer(struct cshard *sh, struct job *j)
{
	j->backoff_ns = j->backoff_ns ? min_u64(j->backoff_ns * 2, CTL_MAX_NS) : CTL_FIRST_NS;
	j->at = sh->co->now + j->backoff_ns;
}

static void send_lists(struct cshard *sh, struct job *j)
{
	uint8_t want = j->ask & (uint8_t)~j->have;

	FOR_SLOTS (sh, i) {
		struct xbd_send s = {
			.type = XBD_T_LIST,
			.sender = XBD_SLOT_NONE,
			.shard = sh->id,
			.block = j->region * XBD_REGION_BLOCKS,
			.stamp = sh->co->now & XBD_STAMP_MASK,
		};

		if (!(want >> i & 1))
			continue;
		s.ver = j->reqno[i] = co_reqno(sh);
		co_send_to(sh, bit8(i), &s);
	}
	set_timer(sh, j);
}

static void send_read(struct cshard *sh, struct job *j)
{
	struct xbd_send s = {
		.type = XBD_T_READ,
		.flags = co_resolving(sh) || !sh->rep[j->source].synced ? XBD_F_RECOVER : 0,
		.sender = XBD_SLOT_NONE,
		.count = 1,
		.shard = sh->id,
		.block = j->region * XBD_REGION_BLOCKS + j->block,
		.ver = co_reqno(sh),
		.stamp = sh->co->now & XBD_STAMP_MASK,
	};

	j->reqno[j->source] = s.ver;
	j->units = (struct xbd_units){{0, 0}};
	set_timer(sh, j);
	co_send_to(sh, bit8(j->source), &s);
}

static void send_repair(struct cshard *sh, struct job *j)
{
	const struct xbd_list_entry *e = &j->list[j->target][j->block];
	bool zero = j->want == 0 || (j->want_flags & (XBD_F_ZERO | XBD_F_TRIM));
	struct xbd_send s = {
		.type = XBD_T_REPAIR,
		.flags = XBD_F_RETRY,
		.sender = XBD_SLOT_NONE,
		.count = 1,
		.shard = sh->id,
		.block = j->region * XBD_REGION_BLOCKS + j->block,
		.ver = co_reqno(sh),
		.ver2 = e->ver,
		.commit = j->want,
		.stamp = sh->co->now & XBD_STAMP_MASK,
	};

	if (zero) {
		s.flags = XBD_F_ZERO | (uint8_t)(j->want_flags & XBD_F_TRIM);
	} else {
		s.body = j->buf;
		s.body_len = XBD_BLOCK_SIZE;
		s.crc = &j->data_crc;
	}
	j->reqno[j->target] = s.ver;
	set_timer(sh, j);
	co_send_to(sh, bit8(j->target), &s);
}

/* The question of the job's step, again or for the first time. */
void co_job_send(struct cshard *sh, struct job *j)
{
	if (j->step == JOB_LIST)
		send_lists(sh, j);
	else if (j->step == JOB_READ)
		send_read(sh, j);
	else
		send_repair(sh, j);
}

static bool is_bad(const struct cshard *sh, const struct job *j, uint8_t slot)
{
	return (j->list[slot][j->block].flags & LIST_BAD) ||
	       co_bad_test(sh, slot, j->region * XBD_REGION_BLOCKS + j->block,
			   j->list[slot][j->block].ver);
}

/* A slot of `mask` with a good copy of version v. */
static uint8_t good_copy(const struct cshard *sh, const struct job *j, uint8_t mask, uint64_t v)
{
	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++)
		if ((mask >> i & 1) && j->list[i][j->block].ver == v &&
		    (!is_bad(sh, j, i) || !XBD_RULE(C12_SOURCE)))
			return i;
	return XBD_SLOT_NONE;
}

static uint64_t max_below(const struct job *j, uint8_t mask, uint64_t limit)
{
	uint64_t v = 0;

	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++)
		if ((mask >> i & 1) && j->list[i][j->block].ver < limit &&
		    j->list[i][j->block].ver > v)
			v = j->list[i][j->block].ver;
	return v;
}

/* Stores of D that certainly never had version v of this block. */
static unsigned nacks(const struct cshard *sh, const struct job *j, uint64_t v)
{
	unsigned n = 0;

	for (uint8_t i = 0; i < sh->hi.n; i++) {
		if (!(sh->hi.d_mask >> i & 1) ||
		    !co_is_member(sh, sh->hi.member, &sh->hi.witness, i))
			continue;
		if (sh->rep[i].voter ? (j->ask >> i & 1) && j->list[i][j->block].ver < v
				     : sh->rep[i].st.synced < sh->newest)
			n++; /* one that answered too late to vote may well have it */
	}
	return n;
}

/*
 * At open: the highest version among the voters was committed or may be; it is dropped only if a
 * damaged copy is all there is and enough stores never had it. False = wait for more stores.
 */
static bool decide(struct cshard *sh, struct job *j)
{
	uint8_t voters = co_voters(sh) & j->ask;
	uint64_t v = max_below(j, voters, UINT64_MAX);

	while (v && good_copy(sh, j, j->ask, v) == XBD_SLOT_NONE) {
		if (XBD_RULE(C9_NACK) &&
		    (v <= sh->base ||
		     nacks(sh, j, v) + sh->hi.w < (unsigned)__builtin_popcount(sh->hi.d_mask) + 1))
			return false;
		v = max_below(j, voters, v);
	}
	j->want = v;
	return true;
}

/* These slots get `ver` instead of a repair: they are complete when they have acknowledged it. */
static void hold_back(struct cshard *sh, uint8_t slots, uint64_t ver)
{
	FOR_SLOTS (sh, i)
		if ((slots >> i & 1) && sh->rep[i].hold < ver)
			sh->rep[i].hold = ver;
}

/* What all shall have of block j->block. False = nothing can be done about it now. */
static bool choose_version(struct cshard *sh, struct job *j)
{
	uint32_t block = j->region * XBD_REGION_BLOCKS + j->block;
	uint8_t trusted;

	if (co_resolving(sh)) {
		trusted = co_voters(sh) & j->ask;
		if (!decide(sh, j)) {
			j->step = JOB_STUCK;
			return false;
		}
		sh->val[block] = j->want;
	} else {
		struct overlap o = co_overlap(sh, block, 1, NULL);

		/* not o.merging: it may wait for this very repair, and the write that follows it
		 * is told from a repair by its version */
		trusted = co_synced(sh) & j->ask;
		if ((o.writing || (j->fix & ~o.holders)) && XBD_RULE(D3_INFLIGHT)) {
			/* the newest write brings them up to date itself, or marks the region
			 * again; but a newer one may be complete already. It may need the vote of
			 * a store that cannot be synced without it. */
			uint8_t lack = j->fix & (uint8_t)~o.receivers;

			if (o.newest >= sh->val[block] && lack)
				lack &= (uint8_t)~co_write_include(sh, o.newest, lack);
			if (o.newest < sh->val[block] || lack)
				j->again = true;
			else
				hold_back(sh, j->fix, o.newest);
			return false;
		}
		if (!sh->val[block] && !trusted) {
			j->again = true; /* nobody is here who knows */
			return false;
		}
		j->want = sh->val[block] ? sh->val[block] : max_below(j, trusted, UINT64_MAX);
	}
	/* a version has one content, whoever holds it: not only the trusted ones may give it */
	j->source = good_copy(sh, j, j->ask, j->want);
	if (j->source == XBD_SLOT_NONE && j->want) {
		j->again = true; /* its holder is away, or a newer write came in between */
		return false;
	}
	j->want_flags = j->want ? j->list[j->source][j->block].flags : XBD_F_ZERO;
	return true;
}

/* Next store that has something else in block j->block; NONE = all equal. */
static uint8_t next_target(struct cshard *sh, struct job *j)
{
	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++) {
		uint64_t held = j->list[i][j->block].ver;

		if (!(j->fix >> i & 1) || (held == j->want && !is_bad(sh, j, i)))
			continue;
		if (held > j->want && XBD_VER_EPOCH(held) == sh->epoch) { /* invariant 18 */
			j->again = true;
			continue;
		}
		if (held > j->want && !XBD_RULE(A4_LOWER))
			continue;
		return i;
	}
	return XBD_SLOT_NONE;
}

static void step_repair(struct cshard *sh, struct job *j)
{
	j->target = next_target(sh, j);
	j->backoff_ns = 0;
	j->tries = 0;
	if (j->target != XBD_SLOT_NONE) {
		j->step = JOB_REPAIR;
		send_repair(sh, j);
		return;
	}
	j->block++;
	step_blocks(sh, j);
}

static bool needs_data(const struct job *j)
{
	return j->want && !(j->want_flags & (XBD_F_ZERO | XBD_F_TRIM));
}

/* Copies known as damaged that were overwritten since. */
static void forget_bad(struct cshard *sh, const struct job *j)
{
	uint32_t block = j->region * XBD_REGION_BLOCKS + j->block;

	for (uint8_t i = 0; i < XBD_REPLICAS_MAX && sh->co->nbad; i++)
		if ((j->ask >> i & 1) && co_bad_test(sh, i, block, 0) &&
		    !co_bad_test(sh, i, block, j->list[i][j->block].ver))
			co_bad_clear(sh, i, block);
}

/* Go through the blocks until one needs work, or all are done. */
static void step_blocks(struct cshard *sh, struct job *j)
{
	for (; j->block < XBD_REGION_BLOCKS; j->block++) {
		if (j->region * XBD_REGION_BLOCKS + j->block >= sh->blocks)
			break;
		forget_bad(sh, j);
		if (!choose_version(sh, j)) {
			if (j->step == JOB_STUCK) {
				j->at = sh->co->now + STUCK_RETRY_NS;
				return;
			}
			continue;
		}
		if (next_target(sh, j) == XBD_SLOT_NONE)
			continue;
		if (!needs_data(j)) {
			step_repair(sh, j);
			return;
		}
		j->step = JOB_READ;
		j->backoff_ns = 0;
		j->tries = 0;
		send_read(sh, j);
		return;
	}
	co_job_end(sh, j);
}

bool co_job_list(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	for (unsigned k = 0; k < JOBS_MAX; k++) {
		struct job *j = &sh->jobs[k];

		if (!j->used || j->step != JOB_LIST || j->reqno[slot] != m->h.ver ||
		    !(j->ask & ~j->have & bit8(slot)))
			continue;
		if (XBD_STATUS(m->h.stamp) != XBD_S_OK)
			return true;
		memcpy(j->list[slot], m->body, sizeof(j->list[slot]));
		j->have |= bit8(slot);
		if (j->have == j->ask) {
			j->block = 0;
			step_blocks(sh, j);
		}
		return true;
	}
	return false;
}

static void data_bad(struct cshard *sh, struct job *j)
{
	sh->co->n.bad_blocks++;
	co_note(sh, CO_NOTE_BAD_BLOCK, j->source, j->region * XBD_REGION_BLOCKS + j->block);
	j->list[j->source][j->block].flags |= LIST_BAD;
	j->fix |= bit8(j->source);
	step_blocks(sh, j); /* choose again */
}

static void data_fragment(struct cshard *sh, struct job *j, const struct xbd_msg *m)
{
	struct xbd_units u = codec_units(&m->h);
	uint32_t at = (uint32_t)m->h.frag * m->h.len;

	if (at + m->h.len > XBD_BLOCK_SIZE)
		return;
	memcpy(j->buf + at, m->body, m->h.len);
	j->units.bits[0] |= u.bits[0];
	if ((j->units.bits[0] & 0xf) != 0xf)
		return;
	j->data_crc = m->h.crc;
	if (crc32c_block(sh->id, m->h.block, j->want, j->buf) != j->data_crc &&
	    XBD_RULE(C12_SOURCE)) {
		j->units.bits[0] = 0;
		return; /* asked again by the timer */
	}
	step_repair(sh, j);
}

bool co_job_data(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++) {
		struct job *j = &sh->jobs[k];

		if (!j->used || j->step != JOB_READ || j->source != slot ||
		    j->reqno[slot] != m->h.ver)
			continue;
		if (XBD_STATUS(m->h.stamp) != XBD_S_OK)
			return true;
		if (m->h.flags & XBD_F_BAD) {
			data_bad(sh, j);
		} else if (m->h.ver2 != j->want || m->h.nfrag == 0) {
			j->again = true; /* changed since it was listed */
			j->block++;
			step_blocks(sh, j);
		} else {
			data_fragment(sh, j, m);
		}
		return true;
	}
	return false;
}

void co_job_repaired(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++) {
		struct job *j = &sh->jobs[k];
		uint8_t status = XBD_STATUS(m->h.stamp);

		if (!j->used || j->step != JOB_REPAIR || j->target != slot ||
		    j->reqno[slot] != m->h.ver)
			continue;
		if (status == XBD_S_OK || (status == XBD_S_CONFLICT && m->h.ver2 == j->want)) {
			j->list[slot][j->block].ver = j->want;
			j->list[slot][j->block].flags = j->want_flags;
			co_bad_clear(sh, slot, m->h.block);
			sh->co->n.repairs++;
			sh->rep[slot].repaired++;
		} else {
			j->again = true;
			j->fix &= (uint8_t)~bit8(slot); /* this store: another time */
		}
		step_repair(sh, j);
		return;
	}
}
