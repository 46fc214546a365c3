/* SPDX-License-Identifier: BSD-2-Clause */
/* Included before the real store's sources: its names make room for the simulator's shim. */
#ifndef SIM_RENAME_H
#define SIM_RENAME_H

#define store_new      real_store_new
#define store_free     real_store_free
#define store_format   real_store_format
#define store_open     real_store_open
#define store_close    real_store_close
#define store_submit   real_store_submit
#define store_kick     real_store_kick
#define store_state    real_store_state
#define store_shards   real_store_shards
#define store_info     real_store_info
#define store_counters real_store_counters
#define store_why      real_store_why

#endif
