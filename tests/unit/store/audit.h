/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks inside an idle store: invariants of format.h that no operation shows. */
#ifndef XBD_TEST_AUDIT_H
#define XBD_TEST_AUDIT_H

#include "store/store.h"

/* NULL = all well, else what is wrong. Nothing may be in flight. bad_ok: blocks may be
 * marked damaged. */
const char *audit(const struct store *st, bool bad_ok);

#endif
