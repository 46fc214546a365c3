/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calendar: events of the virtual clock in order of time, then of insertion. A binary heap in
 * memory that is kept from seed to seed.
 */
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum event_kind {
	EV_PACKET, /* ptr: struct packet, arrives at host */
	EV_TICK,   /* deadline of a host; gen: the host's tick counter */
	EV_TURN,   /* end of a host's turn; gen: its incarnation */
	EV_APPLY,  /* ptr: struct mop, takes effect on the medium */
	EV_DONE,   /* ptr: struct mop, completion reaches the process */
	EV_DISK,   /* ptr: struct fdop, completion of a fake disk */
	EV_BOOT,   /* host starts */
	EV_FAULT,  /* arg: enum fault_kind */
	EV_HEAL,   /* arg: enum fault_kind; a fault that lasts ends */
	EV_CLIENT, /* a client of the coordinator on host acts */
	EV_AUDIT,  /* look at the invariants from outside */
	EV_CREATE, /* the administrator makes sure that the shards exist */
};

struct event {
	uint64_t at, order;
	void *ptr;
	uint32_t gen, arg;
	uint8_t kind, host;
};

struct calendar {
	struct event *heap;
	uint32_t n, room;
	uint64_t order;
};

void calendar_clear(struct calendar *c);
void calendar_push(struct calendar *c, struct event ev);
/* False if empty. */
bool calendar_pop(struct calendar *c, struct event *ev);
void calendar_free(struct calendar *c);

#endif
