/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of the protocol switched off, to show that the simulator notices. */
#ifndef SIM_ABLATE_H
#define SIM_ABLATE_H

#include <stdbool.h>

#include "core/rules.h"

void ablate_none(void);
void ablate_only(enum xbd_rule rule);
/* Also switches this rule off. False = no such rule. */
bool ablate_by_name(const char *name);
const char *ablate_name(enum xbd_rule rule);

#endif
