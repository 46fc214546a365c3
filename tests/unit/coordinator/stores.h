/* SPDX-License-Identifier: BSD-2-Clause */
/* The model of a store that the world plays; see world.h. */
#ifndef XBD_TEST_STORES_H
#define XBD_TEST_STORES_H

#include "world.h"

/* A member of the volume as `create` leaves it; not a member: blank. */
void pstore_init(struct pstore *p, uint32_t node, const struct xbd_record *rec, bool member);
void pstore_free(struct pstore *p);
/* Obey the message and queue what is answered to it. */
void pstore_obey(struct world *w, uint32_t node, const struct held *h);

#endif
