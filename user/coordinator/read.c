/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads, from one store known to be current for all blocks asked. What comes back is taken only if
 * each block's checksum fits and its version is the current one; the answer goes to the client only
 * while a majority of leases is valid. Read-modify-writes read their edges by the same code.
 */
#include <string.h>

#include "base/crc32c.h"
#include "coordinator/internal.h"

#define PATIENCE_NS	(5000 * NS_MS) /* with damaged copies while a store is down */
#define UNITS_PER_BLOCK (XBD_BLOCK_SIZE / XBD_UNIT)

static struct cop **by_no(struct co *co, uint64_t reqno)
{
	return &co->reads_by_no[reqno & (co->ring_size - 1)];
}

static void list_add(struct cop *op)
{
	struct co *co = op->sh->co;

	op->next = NULL;
	op->prev = co->reads_tail;
	if (co->reads_tail)
		co->reads_tail->next = op;
	else
		co->reads_head = op;
	co->reads_tail = op;
}

static void list_remove(struct cop *op)
{
	struct co *co = op->sh->co;

	if (op->prev)
		op->prev->next = op->next;
	else
		co->reads_head = op->next;
	if (op->next)
		op->next->prev = op->prev;
	else
		co->reads_tail = op->prev;
	op->prev = op->next = NULL;
}

/* The question on its way does not count any more. */
static void forget(struct cop *op)
{
	if (!op->reqno)
		return;
	XBD_ASSERT(*by_no(op->sh->co, op->reqno) == op);
	*by_no(op->sh->co, op->reqno) = NULL;
	op->sh->rep[op->from].reads--;
	op->reqno = 0;
}

static void leave(struct cop *op)
{
	forget(op);
	list_remove(op);
}

static void finish(struct cop *op, int res)
{
	struct co *co = op->sh->co;

	leave(op);
	if (op->phase == COP_RMW) {
		co->scratch_free[co->nscratch++] = op->scratch;
		op->scratch = NULL;
		co_op_unlink(op);
	} else if (!res && op->kind == CO_READ) {
		co->n.reads++;
		co->n.read_bytes += op->req->len;
	}
	co_finish(co, op->req, res);
	co_op_put(co, op);
}

/* Where block `idx` of the operation is read to. */
static uint8_t *place(const struct cop *op, uint32_t idx)
{
	if (op->phase == COP_RMW)
		return op->scratch + (idx == 0 ? 0 : XBD_BLOCK_SIZE);
	return op->req->buf + (size_t)idx * XBD_BLOCK_SIZE;
}

/* Slots that hold the current version of every block still to come. */
static uint8_t candidates(const struct cop *op, const struct overlap *o)
{
	struct cshard *sh = op->sh;
	uint8_t mask = co_eligible(sh) & co_targets(sh);

	if (!XBD_RULE(ANY_READ))
		return mask;
	mask &= o->holders;
	for (uint32_t r = op->block / XBD_REGION_BLOCKS;
	     r <= (op->block + op->count - 1) / XBD_REGION_BLOCKS; r++)
		FOR_SLOTS (sh, i)
			if (co_lag_test(&sh->rep[i], r))
				mask &= (uint8_t)~bit8(i);
	return mask;
}

static uint8_t least_loaded(struct cshard *sh, uint8_t mask)
{
	uint8_t best = XBD_SLOT_NONE, start = (uint8_t)(co_random(sh->co) % XBD_REPLICAS_MAX);

	for (uint8_t k = 0; k < XBD_REPLICAS_MAX; k++) {
		uint8_t i = (uint8_t)((start + k) % XBD_REPLICAS_MAX);

		if ((mask >> i & 1) &&
		    (best == XBD_SLOT_NONE || sh->rep[i].reads < sh->rep[best].reads))
			best = i;
	}
	return best;
}

static void send_runs(struct cop *op)
{
	struct xbd_send s = {
		.type = op->kind == CO_MAP ? XBD_T_LIST : XBD_T_READ,
		.sender = XBD_SLOT_NONE,
		.shard = op->sh->id,
		.ver = op->reqno,
		.stamp = op->sh->co->now & XBD_STAMP_MASK,
	};

	if (op->kind == CO_MAP) {
		s.block = op->block / XBD_REGION_BLOCKS * XBD_REGION_BLOCKS;
		co_send_to(op->sh, bit8(op->from), &s);
		return;
	}
	for (uint32_t i = 0, end; i < op->count; i = end) {
		end = i + 1;
		if (!(op->todo >> i & 1))
			continue;
		while (end < op->count && (op->todo >> end & 1))
			end++;
		s.block = op->block + i;
		s.count = (uint16_t)(end - i);
		co_send_to(op->sh, bit8(op->from), &s);
	}
}

static void set_timer(struct cop *op, uint64_t wait_ns)
{
	struct co *co = op->sh->co;

	op->read_at = co->now + wait_ns;
	co->read_scan_at = min_u64(co->read_scan_at, op->read_at);
}

static void new_reqno(struct cop *op)
{
	struct co *co = op->sh->co;

	do
		op->reqno = co_reqno(op->sh);
	while (*by_no(co, op->reqno));
	*by_no(co, op->reqno) = op;
	op->sh->rep[op->from].reads++;
	op->units = (struct xbd_units){{0, 0}};
}

/* Is one of the blocks still to come damaged on each of these slots? */
static bool damaged_on(const struct cop *op, uint8_t slots)
{
	for (uint32_t i = 0; i < op->count; i++) {
		uint8_t good = slots;

		if (!(op->todo >> i & 1))
			continue;
		for (uint8_t k = 0; k < XBD_REPLICAS_MAX; k++)
			if (co_bad_test(op->sh, k, op->block + i, op->sh->val[op->block + i]))
				good &= (uint8_t)~bit8(k);
		if (!good)
			return true;
	}
	return false;
}

/*
 * Nobody left to ask: wait for a store to come back or for a repair (each store may hold another
 * damaged block), unless a block is damaged everywhere.
 */
static void nobody(struct cop *op, uint8_t able)
{
	bool damaged = op->bad && damaged_on(op, able);
	bool everywhere = damaged_on(op, (uint8_t)((1u << op->sh->rec.n) - 1));

	if (damaged && (everywhere || op->sh->co->now - op->req->start_ns >= PATIENCE_NS)) {
		finish(op, -EIO);
		return;
	}
	op->tried = op->bad = 0;
	set_timer(op, READ_FIRST_NS);
}

static void ask(struct cop *op)
{
	struct cshard *sh = op->sh;
	struct overlap o = co_overlap(sh, op->block, op->count, op);
	uint8_t able = candidates(op, &o);
	uint8_t slot = least_loaded(sh, able & (uint8_t)~op->tried);

	forget(op);
	if (op->phase == COP_READ && (o.writing || o.merging) && XBD_RULE(A2_INFLIGHT)) {
		list_remove(op);
		op->phase = COP_BLOCKED;
		co_op_block(op);
		return;
	}
	if (slot == XBD_SLOT_NONE) {
		nobody(op, able);
		return;
	}
	op->from = slot;
	new_reqno(op);
	op->read_backoff_ns = READ_FIRST_NS + 2 * sh->rep[slot].rto;
	set_timer(op, op->read_backoff_ns);
	send_runs(op);
}

void co_read_blocks(struct cop *op)
{
	op->tried = op->bad = 0;
	op->read_tries = 0;
	op->reqno = 0;
	memset(op->vers, 0, sizeof(op->vers));
	list_add(op);
	ask(op);
}

void co_read_start(struct cop *op)
{
	struct cshard *sh = op->sh;
	struct overlap o;

	if (sh->phase != CO_SERVING) {
		co_op_block(op);
		return;
	}
	o = co_overlap(sh, op->block, op->count, op);
	if ((o.writing || o.merging) && XBD_RULE(A2_INFLIGHT)) {
		co_op_block(op);
		return;
	}
	op->phase = COP_READ;
	op->todo = op->count == 32 ? UINT32_MAX : (1u << op->count) - 1;
	co_read_blocks(op);
}

static void merge(struct cop *op)
{
	struct co *co = op->sh->co;
	struct co_req *req = op->req;
	uint32_t head = req->offset % XBD_BLOCK_SIZE;
	uint32_t end = head + req->len, tail = end % XBD_BLOCK_SIZE;

	memcpy(req->buf, op->scratch, head);
	if (tail)
		memcpy(req->buf + end, op->scratch + (op->count == 1 ? 0 : XBD_BLOCK_SIZE) + tail,
		       XBD_BLOCK_SIZE - tail);
	co->scratch_free[co->nscratch++] = op->scratch;
	op->scratch = NULL;
	op->merged = true;
	co_write_issue(op);
}

static void all_here(struct cop *op)
{
	forget(op);
	if (!co_lease_valid(op->sh)) { /* the answer waits for the leases */
		set_timer(op, READ_FIRST_NS);
		return;
	}
	if (op->phase == COP_RMW) {
		leave(op);
		merge(op);
	} else {
		finish(op, 0);
	}
}

/* Is `ver` the version block `idx` must have? */
static bool current(const struct cop *op, uint32_t idx, uint64_t ver)
{
	uint64_t val = op->sh->val[op->block + idx];

	if (!XBD_RULE(VAL_CHECK))
		return true;
	if (val)
		return ver == val;
	return XBD_VER_EPOCH(ver) < op->sh->epoch; /* of this epoch, but not complete: too new */
}

static void other_store(struct cop *op)
{
	op->tried |= bit8(op->from);
	op->sh->co->n.read_retries++;
	ask(op);
}

/* Blocks without data: zeroes or damaged. False = ask somebody else. */
static bool take_bodyless(struct cop *op, const struct xbd_msg *m, uint32_t first)
{
	uint8_t slot = op->from;

	for (uint32_t i = first; i < first + m->h.count && i < op->count; i++) {
		if (!(op->todo >> i & 1))
			continue;
		if (m->h.flags & XBD_F_BAD) {
			op->bad |= bit8(slot);
			op->sh->co->n.bad_blocks++;
			co_bad_add(op->sh, slot, op->block + i, m->h.ver2);
			co_note(op->sh, CO_NOTE_BAD_BLOCK, slot, op->block + i);
			return false;
		}
		if (!current(op, i, m->h.ver2))
			return false;
		memset(place(op, i), 0, XBD_BLOCK_SIZE);
		op->todo &= ~(1u << i);
	}
	return true;
}

static bool take_fragment(struct cop *op, const struct xbd_msg *m, uint32_t first)
{
	size_t at = (size_t)first * XBD_BLOCK_SIZE + (size_t)m->h.frag * m->h.len;
	uint32_t idx = (uint32_t)(at / XBD_BLOCK_SIZE), unit = (uint32_t)(at / XBD_UNIT);
	uint64_t mask = 0xfull << (idx * UNITS_PER_BLOCK % 64);
	__u64 *bits;

	if (idx >= op->count || !(op->todo >> idx & 1))
		return true;
	bits = &op->units.bits[idx * UNITS_PER_BLOCK / 64];
	if (op->vers[idx] != m->h.ver2) {
		*bits &= ~mask;
		op->vers[idx] = m->h.ver2;
	}
	memcpy(place(op, idx) + at % XBD_BLOCK_SIZE, m->body, m->h.len);
	for (uint32_t u = unit; u < unit + m->h.len / XBD_UNIT; u++)
		*bits |= 1ull << (u % 64);
	if ((*bits & mask) != mask)
		return true;
	*bits &= ~mask;
	if (crc32c_block(op->sh->id, op->block + idx, m->h.ver2, place(op, idx)) != m->h.crc)
		return true; /* a fragment was wrong: asked again by the timer */
	if (!current(op, idx, m->h.ver2))
		return false;
	op->todo &= ~(1u << idx);
	return true;
}

/* Part of the answer came: the rest follows at once or not at all. */
static void flowing(struct cop *op)
{
	op->read_tries = 0;
	op->read_backoff_ns = op->sh->rep[op->from].rto;
	set_timer(op, op->read_backoff_ns);
}

void co_on_data(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct cop *op = *by_no(sh->co, m->h.ver);
	uint32_t first;
	bool ok;

	if (!op || op->reqno != m->h.ver || op->sh != sh || op->from != slot ||
	    op->kind == CO_MAP || m->h.block < op->block ||
	    m->h.block - op->block + m->h.count > op->count) {
		sh->co->n.dups++;
		return;
	}
	first = m->h.block - op->block;
	if (XBD_STATUS(m->h.stamp) != XBD_S_OK)
		ok = false;
	else if (m->h.nfrag == 0)
		ok = take_bodyless(op, m, first);
	else
		ok = take_fragment(op, m, first);
	if (!ok)
		other_store(op);
	else if (op->todo == 0)
		all_here(op);
	else /* the answer is under way: what is late now is lost */
		flowing(op);
}

void co_on_map(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct cop *op = *by_no(sh->co, m->h.ver);
	struct xbd_list_entry list[XBD_REGION_BLOCKS];

	if (!op || op->reqno != m->h.ver || op->sh != sh || op->from != slot ||
	    op->kind != CO_MAP) {
		sh->co->n.dups++;
		return;
	}
	if (XBD_STATUS(m->h.stamp) != XBD_S_OK) {
		other_store(op);
		return;
	}
	memcpy(list, m->body, sizeof(list));
	for (uint32_t i = 0; i < op->count; i++) {
		const struct xbd_list_entry *e = &list[(op->block + i) % XBD_REGION_BLOCKS];
		bool zero = e->ver == 0 || (e->flags & (XBD_F_ZERO | XBD_F_TRIM));

		if (!(e->flags & XBD_F_BAD) && !current(op, i, e->ver)) {
			other_store(op);
			return;
		}
		op->req->buf[i] = zero ? CO_MAP_ZERO | CO_MAP_HOLE : 0;
	}
	op->todo = 0;
	all_here(op);
}

static void op_tick(struct cop *op)
{
	struct co *co = op->sh->co;

	if (op->todo == 0) {
		all_here(op);
	} else if (!op->reqno) {
		ask(op);
	} else if (!op->sh->rep[op->from].alive || ++op->read_tries % 3 == 0) {
		other_store(op);
	} else {
		co->n.read_retries++;
		op->read_backoff_ns = min_u64(op->read_backoff_ns * 2, RTO_MAX_NS);
		set_timer(op, op->read_backoff_ns);
		send_runs(op);
	}
}

void co_read_tick(struct co *co)
{
	uint64_t next = UINT64_MAX;

	if (co->now < co->read_scan_at)
		return;
	co->read_scan_at = UINT64_MAX;
	for (struct cop *op = co->reads_head, *n; op; op = n) {
		n = op->next;
		if (op->sh->phase != CO_SERVING)
			continue;
		if (co->now >= op->read_at)
			op_tick(op); /* sets read_scan_at when it sets a timer */
		else
			next = min_u64(next, op->read_at);
	}
	co->read_scan_at = min_u64(co->read_scan_at, next);
}

uint64_t co_read_deadline(const struct co *co)
{
	return co->reads_head ? co->read_scan_at : UINT64_MAX;
}

/* The epoch ends: reads of this shard start over in the next. */
void co_read_freeze(struct cshard *sh)
{
	struct co *co = sh->co;

	for (struct cop *op = co->reads_head, *n; op; op = n) {
		n = op->next;
		if (op->sh != sh)
			continue;
		leave(op);
		if (op->phase == COP_RMW) {
			co->scratch_free[co->nscratch++] = op->scratch;
			op->scratch = NULL;
			co_op_unlink(op);
		}
		if (op->again) {
			co_write_again(op);
		} else {
			op->phase = COP_BLOCKED;
			co_op_block(op);
		}
	}
}
