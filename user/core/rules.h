/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The safety rules of the replication protocol, by name. Code that keeps a rule asks
 * XBD_RULE(NAME): constant 1 in every product build, so it costs nothing; in the simulator's build
 * (-DXBD_ABLATE) a bit that can be cleared, to show that the simulator notices when the rule is
 * missing. A rule that is switched off must make the code do the naive thing, never crash.
 *
 * X(NAME, what is kept when the rule is on)
 */
#ifndef XBD_RULES_H
#define XBD_RULES_H

#include <stdint.h>

#define XBD_RULES(X)                                                                               \
	X(A1_SYNCED, "only replies with the highest synced epoch vote on versions")                \
	X(A2_INFLIGHT, "a read of a block with a write in flight waits for it")                    \
	X(A3_COPY,                                                                                 \
	  "serve only after suspicious blocks are on W synced stores and the record is chosen")    \
	X(A4_LOWER, "a repair may lower a version")                                                \
	X(A5_LINEAGE, "a complete point counts only if its epoch is an ancestor")                  \
	X(A6_JOIN, "a learner is demoted (JOIN) before its first repair")                          \
	X(A7_VOTERS, "acks of stores that are not synced do not count")                            \
	X(A8_FENCE, "a store obeys only the epoch it promised")                                    \
	X(A8_DRAIN, "PROMISED is sent after older writes ended and are in the listing")            \
	X(A9_CHECK, "a read is answered only if a majority of leases is still valid")              \
	X(A9_WAIT, "a promise to another owner waits for the end of the lease")                    \
	X(A10_OWNER, "one epoch is promised to one owner")                                         \
	X(A12_UUID, "quorums count store UUIDs: a blank store is no member")                       \
	X(A13_JOINT, "a record needs majorities of both old and new members")                      \
	X(A14_JOIN_RECORD, "JOIN replaces a record that is not in the lineage")                    \
	X(A14_DEAD_RECORD, "a record none of whose data stores was synced is skipped")             \
	X(A15_DATA, "opening needs |D|-W+1 replies of data stores")                                \
	X(A16_SYNC_FIRST, "stores are synced before the record is accepted")                       \
	X(A17_BOOT, "a store whose boot counter went back counts as blank")                        \
	X(B2_ORDER, "a lower version never replaces a higher one")                                 \
	X(B3_CAS, "a repair applies only to the version it expects")                               \
	X(B4_WHOLE, "an operation is applied only when all blocks are there and right")            \
	X(C9_NACK, "a version is dropped only if enough stores never had it")                      \
	X(C12_SOURCE, "repair data is checked against version and checksum at each step")          \
	X(D3_INFLIGHT, "blocks with writes in flight are not repaired")                            \
	X(D4_COMPLETE, "the complete point of a store passes only writes it acknowledged")         \
	X(ANY_READ, "reads go only to stores known to hold the current version")                   \
	X(VAL_CHECK, "the version of read data must be the current one")                           \
	X(SYNC_UUID, "only the store that was filled can be synced, not one with a new UUID")      \
	X(ACK_UUID, "acks count by store UUID, not by slot")

enum xbd_rule {
#define X(name, text) XBD_RULE_##name,
	XBD_RULES(X)
#undef X
		XBD_RULE_END
};

_Static_assert(XBD_RULE_END <= 64, "rules fit a 64-bit mask");

#ifdef XBD_ABLATE
extern uint64_t xbd_rules_off; /* bit = enum xbd_rule */
#define XBD_RULE(name) (!(xbd_rules_off >> XBD_RULE_##name & 1))
#else
#define XBD_RULE(name) 1
#endif

#endif
