/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: one struct, one table of keys (CONF_KEYS) from which parsing, defaults,
 * checks, `xbd config show` and xbd.conf(5) come. The file is libconfig's format. Every key can be
 * set by the command line as well, through conf_set(), with the same checks.
 */
#ifndef XBD_CONFIG_H
#define XBD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/text.h"
#include "config/uuid.h"

#define CONF_FILE     "/etc/xbd/xbd.conf" /* read if it exists and no other file is named */
#define CONF_PATH_MAX 256
#define CONF_WHY_MAX  512 /* enough for every message of conf_*() */

/* What the value of a key is; the C type of its field follows from it. */
enum conf_kind {
	CONF_TEXT,   /* char[] */
	CONF_PATH,   /* char[CONF_PATH_MAX], absolute, or empty where the default is empty */
	CONF_NAME,   /* char[XBD_NAME_MAX + 1], text_name() or empty */
	CONF_UUID,   /* struct xbd_uuid; empty text = zero */
	CONF_ADDR,   /* char[XBD_ADDR_TEXT], text_addr() or empty */
	CONF_BOOL,   /* bool */
	CONF_NUMBER, /* uint32_t */
	CONF_SIZE,   /* uint64_t, bytes */
	CONF_CHOICE, /* uint32_t, index into the words of `choices` */
};

enum conf_on_no_quorum { CONF_SUSPEND, CONF_IO_ERROR };

struct conf_node {
	char name[XBD_NAME_MAX + 1];
	char store[CONF_PATH_MAX];
	char listen[XBD_ADDR_TEXT];
	char interface[16];
	uint32_t transport; /* enum net_transport */
	bool witness;
	uint32_t lease_ms;
	uint32_t frames;
	uint32_t ops_max;
	uint64_t data_memory; /* bytes */
	char pin_dir[CONF_PATH_MAX];
};

struct conf_export {
	char unix_socket[CONF_PATH_MAX];
	char tcp[XBD_ADDR_TEXT];
	char listen[XBD_ADDR_TEXT];
	char interface[16];
	uint32_t transport; /* enum net_transport */
	uint32_t lease_ms;
	uint32_t lease_every_ms;
	uint32_t lag_ms;
	uint32_t ops_max;
	uint64_t window;       /* bytes */
	uint32_t on_no_quorum; /* enum conf_on_no_quorum */
	uint32_t no_quorum_ms;
	char pin_dir[CONF_PATH_MAX];
};

struct xbd_conf {
	char run_dir[CONF_PATH_MAX];
	char meta[CONF_PATH_MAX];
	struct xbd_uuid cluster; /* zero = any */
	struct conf_node node;
	struct conf_export export;
};

/*
 * X(group, name, field, KIND, default, min, max, choices, text): `group` is "" for the top level;
 * default is text as it could stand in the file; min and max are bytes for CONF_SIZE.
 */
#define CONF_KEYS(X)                                                                               \
	X("", "run_dir", run_dir, PATH, "/run/xbd", 0, 0, NULL,                                    \
	  "directory of the daemons' control sockets")                                             \
	X("", "meta", meta, TEXT, "/var/lib/xbd/meta", 0, 0, NULL,                                 \
	  "where the cluster's metadata is: a directory, as /path or file:/path")                  \
	X("", "cluster", cluster, UUID, "", 0, 0, NULL,                                            \
	  "UUID of the cluster; empty = take the one the metadata or the store says")              \
	X("node", "name", node.name, NAME, "", 0, 0, NULL, "name of this storage node")            \
	X("node", "store", node.store, PATH, "", 0, 0, NULL,                                       \
	  "block device or file that holds the store, made by xbd node init")                      \
	X("node", "listen", node.listen, ADDR, "", 0, 0, NULL,                                     \
	  "address and UDP port to serve on; the port is 7117 unless given")                       \
	X("node", "interface", node.interface, TEXT, "", 0, 0, NULL,                               \
	  "network interface for XDP; empty = the one that holds the address")                     \
	X("node", "transport", node.transport, CHOICE, "auto", 0, 0, "auto|xdp|udp",               \
	  "how packets come in: auto takes XDP where it works, UDP else; xdp fails")               \
	X("node", "witness", node.witness, BOOL, "false", 0, 0, NULL,                              \
	  "this node votes but never holds data")                                                  \
	X("node", "lease_ms", node.lease_ms, NUMBER, "600", 50, 60000, NULL,                       \
	  "longest read lease granted, milliseconds")                                              \
	X("node", "frames", node.frames, NUMBER, "4096", 256, 262144, NULL,                        \
	  "packet buffers per AF_XDP queue")                                                       \
	X("node", "ops_max", node.ops_max, NUMBER, "1024", 16, 65536, NULL,                        \
	  "operations in assembly or on disk at once")                                             \
	X("node", "data_memory", node.data_memory, SIZE, "64M", 4194304, 68719476736, NULL,        \
	  "memory for the data of these operations")                                               \
	X("node", "pin_dir", node.pin_dir, PATH, "", 0, 0, NULL,                                   \
	  "bpffs directory in which BPF maps are pinned; empty = not pinned")                      \
	X("export", "unix", export.unix_socket, PATH, "", 0, 0, NULL,                              \
	  "Unix socket for NBD clients; empty = RUN_DIR/VOLUME.nbd unless tcp is set")             \
	X("export", "tcp", export.tcp, ADDR, "", 0, 0, NULL,                                       \
	  "address and port for NBD clients over TCP (port 10809 unless given)")                   \
	X("export", "listen", export.listen, ADDR, "", 0, 0, NULL,                                 \
	  "own address for talking to storage nodes; empty = chosen by the routing table")         \
	X("export", "interface", export.interface, TEXT, "", 0, 0, NULL,                           \
	  "network interface for XDP; empty = the one that holds the address")                     \
	X("export", "transport", export.transport, CHOICE, "auto", 0, 0, "auto|xdp|udp",           \
	  "how packets come in: auto takes XDP where it works, UDP else; xdp fails")               \
	X("export", "lease_ms", export.lease_ms, NUMBER, "600", 50, 60000, NULL,                   \
	  "read lease asked for, milliseconds: a host that died blocks the volume that long")      \
	X("export", "lease_every_ms", export.lease_every_ms, NUMBER, "100", 10, 20000, NULL,       \
	  "how often leases are renewed, milliseconds; well below lease_ms")                       \
	X("export", "lag_ms", export.lag_ms, NUMBER, "1000", 10, 600000, NULL,                     \
	  "go on without a replica that did not answer for that long, milliseconds")               \
	X("export", "ops_max", export.ops_max, NUMBER, "4096", 16, 65536, NULL,                    \
	  "operations in flight at once")                                                          \
	X("export", "window", export.window, SIZE, "32M", 131072, 1073741824, NULL,                \
	  "bytes on their way to one replica without an answer")                                   \
	X("export", "on_no_quorum", export.on_no_quorum, CHOICE, "suspend", 0, 0,                  \
	  "suspend|io-error",                                                                      \
	  "without a majority of replicas: wait, or fail requests after no_quorum_ms")             \
	X("export", "no_quorum_ms", export.no_quorum_ms, NUMBER, "30000", 100, 86400000, NULL,     \
	  "how long requests wait without a majority before io-error fails them")                  \
	X("export", "pin_dir", export.pin_dir, PATH, "", 0, 0, NULL,                               \
	  "bpffs directory in which BPF maps are pinned; empty = not pinned")

/* One row of the table. */
struct conf_key {
	const char *group, *name, *def, *choices, *text;
	enum conf_kind kind;
	uint64_t min, max;
	size_t offset, size; /* of the field in struct xbd_conf */
};

const struct conf_key *conf_keys(size_t *count);
/* "node.name" or "run_dir"; NULL = no such key. */
const struct conf_key *conf_find(const char *dotted);

/* All defaults. */
void conf_defaults(struct xbd_conf *c);
/*
 * Read a file over what *c holds (call conf_defaults before). path NULL: CONF_FILE, and no error if
 * that does not exist. 0, -XBD_ECONFIG or negative errno; why gets one line "FILE:LINE: KEY: what
 * is wrong", and *c is untouched.
 */
int conf_load(const char *path, struct xbd_conf *c, char *why, size_t why_size);
/* Set one key ("node.name") from text. 0, -XBD_ECONFIG (why: "KEY: what is wrong"). */
int conf_set(struct xbd_conf *c, const char *dotted, const char *value, char *why, size_t why_size);
/* The value as it could stand in a file, without quotes. */
void conf_value_text(const struct xbd_conf *c, const struct conf_key *key, char *buf, size_t size);

#endif
