/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/table.h"

const char *const cmd_exit_text[] = {
	"Done.",
	"The command failed; one line on standard error says why.",
	"The command line could not be understood; nothing was done.",
	NULL,
};

const struct cmd_opt cmd_global_opts[] = {
	{"config", "FILE", OPT_PATH, NULL,
	 .text = "configuration file; without it "
		 "/etc/xbd/xbd.conf is read if it exists"},
	{"meta", "DIR", OPT_CONF, "meta", .text = "where the cluster's metadata is"},
	{"run-dir", "DIR", OPT_CONF, "run_dir",
	 .text = "directory of the daemons' control sockets"},
	{"json", NULL, OPT_FLAG, .text = "print JSON where the command prints a table"},
	{"help", NULL, OPT_FLAG, .text = "explain the command"},
	{NULL},
};

const struct cmd_opt cmd_xbdd_opts[] = {
	{"name", "NAME", OPT_CONF, "node.name", .text = "name of this storage node"},
	{"store", "PATH", OPT_CONF, "node.store",
	 .text = "block device or file made by xbd node init"},
	{"listen", "ADDR[:PORT]", OPT_CONF, "node.listen",
	 .text = "address and UDP port to serve on (port 7117 unless given)"},
	{"interface", "IF", OPT_CONF, "node.interface",
	 .text = "network interface for XDP; without it the one that holds the address"},
	{"transport", "auto|xdp|udp", OPT_CONF, "node.transport",
	 .text = "how packets come in: auto takes XDP where it works and UDP sockets else, xdp "
		 "fails "
		 "instead"},
	{"quiet", NULL, OPT_FLAG, .text = "log only what is wrong"},
	{NULL},
};

static const struct cmd_opt opts_node_init[] = {
	{"size", "SIZE", OPT_SIZE,
	 .text = "make a file of this size; not for block devices and files that exist"},
	{"cluster", "UUID", OPT_CONF, "cluster",
	 .text = "cluster the store belongs to; without it, it can join any one cluster"},
	{"shards-max", "N", OPT_NUMBER, .min = 1, .max = 65536,
	 .text = "shards the store can hold; without it a number fit for its size"},
	{"journal", "SIZE", OPT_SIZE,
	 .text = "size of the journal; without it one fit for the disk"},
	{"force", NULL, OPT_FLAG, .text = "overwrite what is there"},
	{NULL},
};

static const struct cmd_opt opts_volume_create[] = {
	{"size", "SIZE", OPT_SIZE, .required = true, .text = "size, a multiple of 4 KiB"},
	{"replicas", "N", OPT_NUMBER, .min = 1, .max = 5,
	 .text = "copies, each on another node; 3 unless given"},
	{"shard-size", "SIZE", OPT_SIZE,
	 .text = "unit of distribution, a multiple of 128M up to 64G, which is the default"},
	{"nodes", "NODE,...", OPT_TEXT, .text = "choose among these nodes only"},
	{"witness", "NODE", OPT_NAME, .text = "node that votes when a volume is opened"},
	{NULL},
};

static const struct cmd_opt opts_volume_resize[] = {
	{"size", "SIZE", OPT_SIZE, .required = true, .text = "new size; larger than the old one"},
	{NULL},
};

static const struct cmd_opt opts_volume_delete[] = {
	{"force", NULL, OPT_FLAG,
	 .text = "go on when nodes do not answer; what they hold of the volume stays on their "
		 "disks"},
	{NULL},
};

static const struct cmd_opt opts_export[] = {
	{"unix", "PATH", OPT_CONF, "export.unix", .text = "Unix socket for NBD clients"},
	{"tcp", "ADDR:PORT", OPT_CONF, "export.tcp", .text = "address and port for NBD over TCP"},
	{"read-only", NULL, OPT_FLAG, .text = "refuse writes"},
	{"name", "EXPORTNAME", OPT_TEXT,
	 .text = "export name that NBD clients ask for; the volume's name unless given"},
	{"listen", "ADDR[:PORT]", OPT_CONF, "export.listen",
	 .text = "own address for talking to storage nodes"},
	{"interface", "IF", OPT_CONF, "export.interface", .text = "network interface for XDP"},
	{"transport", "auto|xdp|udp", OPT_CONF, "export.transport",
	 .text = "how packets come in: auto takes XDP where it works and UDP sockets else"},
	{"quiet", NULL, OPT_FLAG, .text = "log only what is wrong"},
	{NULL},
};

static const struct cmd_opt opts_status[] = {
	{"check", NULL, OPT_FLAG, .text = "exit with status 1 if there is any warning"},
	{NULL},
};

const struct cmd cmd_table[CMD_ID_END] = {
	{"node init",
	 CMD_node_init,
	 true,
	 {{"PATH", false, COMPLETE_FILE}},
	 opts_node_init,
	 "format a store",
	 "Formats a block device, or a file that is made with --size, as the store of one storage "
	 "node and prints its UUID. Anything that is not all zeroes at the start of PATH is left "
	 "alone unless --force is given.",
	 "xbd node init /dev/nvme0n1\n"
	 "xbd node init /var/lib/xbd/a.store --size 100G"},
	{"node run",
	 CMD_node_run,
	 false,
	 {{NULL}},
	 cmd_xbdd_opts,
	 "run the storage daemon",
	 "Starts xbdd(8) in the foreground with the same options.",
	 "xbd node run --name a --store /dev/nvme0n1 --listen 10.0.0.1"},
	{"node add",
	 CMD_node_add,
	 true,
	 {{"NAME", false, COMPLETE_NONE}, {"ADDR[:PORT]", false, COMPLETE_NONE}},
	 NULL,
	 "make a running node known to the cluster",
	 "Asks the storage daemon at ADDR who it is and writes its name, address and the UUID of "
	 "its store into the metadata. The daemon must run under the same NAME. A known node with "
	 "the same store gets the new address. Whether the node is a witness, which votes but "
	 "holds "
	 "no data, is the daemon's own setting.",
	 "xbd node add a 10.0.0.1\n"
	 "xbd node add b [fd00::2]:7117"},
	{"node list",
	 CMD_node_list,
	 true,
	 {{NULL}},
	 NULL,
	 "list the nodes of the cluster",
	 "Shows what the metadata says, and how many shards lie on each node. xbd node info asks a "
	 "node itself.",
	 ""},
	{"node info",
	 CMD_node_info,
	 true,
	 {{"NAME", false, COMPLETE_NODE}},
	 NULL,
	 "ask a node how it is",
	 "Shows the node's record and what the node itself answers: the state of its store, free "
	 "space, shards held.",
	 "xbd node info a"},
	{"node remove",
	 CMD_node_remove,
	 false,
	 {{"NAME", false, COMPLETE_NODE}},
	 NULL,
	 "forget a node",
	 "Refused while a volume has data on the node. The node's store is not touched.",
	 ""},
	{"volume create",
	 CMD_volume_create,
	 true,
	 {{"NAME", false, COMPLETE_NONE}},
	 opts_volume_create,
	 "make a volume",
	 "Cuts the volume into shards, chooses different nodes for the replicas of each and makes "
	 "the shards there. All nodes chosen must answer; otherwise what was made is taken back "
	 "and "
	 "nothing is changed. A new volume reads as zeroes and takes no space until it is "
	 "written.\n\n"
	 "With three replicas the volume stays usable while any one node is down; with two, "
	 "opening "
	 "and writing need both, unless a --witness helps to open.",
	 "xbd volume create db --size 100G\n"
	 "xbd volume create scratch --size 1T --replicas 1 --nodes a"},
	{"volume list", CMD_volume_list, true, {{NULL}}, NULL, "list volumes", "", ""},
	{"volume info",
	 CMD_volume_info,
	 true,
	 {{"NAME", false, COMPLETE_VOLUME}},
	 NULL,
	 "show a volume and where its shards lie",
	 "",
	 "xbd volume info db"},
	{"volume resize",
	 CMD_volume_resize,
	 true,
	 {{"NAME", false, COMPLETE_VOLUME}},
	 opts_volume_resize,
	 "make a volume larger",
	 "New shards are made for the space added. A running export serves the new size once it is "
	 "started again. Volumes cannot be made smaller.",
	 "xbd volume resize db --size 200G"},
	{"volume delete",
	 CMD_volume_delete,
	 false,
	 {{"NAME", false, COMPLETE_VOLUME}},
	 opts_volume_delete,
	 "delete a volume and its data",
	 "Refused while the volume is exported anywhere. There is no way back.",
	 "xbd volume delete db"},
	{"export",
	 CMD_export,
	 false,
	 {{"VOLUME", false, COMPLETE_VOLUME}},
	 opts_export,
	 "serve a volume to NBD clients",
	 "Opens the volume and serves it in the foreground until SIGTERM or SIGINT. One host at a "
	 "time exports a volume: a second export takes it over, and the first one can write no "
	 "more.\n\n"
	 "Without --unix and --tcp the socket is RUN_DIR/VOLUME.nbd.",
	 "xbd export db\n"
	 "xbd export db --tcp 127.0.0.1:10809\n"
	 "nbd-client -unix /run/xbd/db.nbd /dev/nbd0 -name db"},
	{"status",
	 CMD_status,
	 true,
	 {{"NAME", true, COMPLETE_VOLUME}},
	 opts_status,
	 "show what runs on this host",
	 "Asks every daemon that has a control socket in the run directory: exports with the state "
	 "of their replicas, storage nodes with their transport and space, and warnings with what "
	 "to do about them. A daemon that does not answer is shown as such.\n\n"
	 "With NAME only the node or export of that name is asked, and --json prints its own "
	 "answer.",
	 "xbd status\n"
	 "xbd status --check && echo all is well"},
	{"stats",
	 CMD_stats,
	 true,
	 {{"NAME", true, COMPLETE_VOLUME}},
	 NULL,
	 "show the counters of daemons",
	 "Counters since the start of each daemon, or only of the node or export NAME: packets by "
	 "what became of them in the XDP program and in the daemon, operations, disk requests. "
	 "Counters that are zero are left out of the text; --json has all of them.",
	 "xbd stats db"},
	{"config show",
	 CMD_config_show,
	 true,
	 {{NULL}},
	 NULL,
	 "show all settings in effect",
	 "Prints a complete configuration file: defaults, overridden by the file, overridden by "
	 "options.",
	 "xbd config show"},
	{"config check",
	 CMD_config_check,
	 false,
	 {{NULL}},
	 NULL,
	 "check a configuration file",
	 "Says where the first mistake is, or that there is none.",
	 "xbd config check --config ./xbd.conf"},
	{"version",
	 CMD_version,
	 true,
	 {{NULL}},
	 NULL,
	 "show versions of xbd, its libraries and the kernel",
	 "",
	 ""},
	{"help",
	 CMD_help,
	 false,
	 {{"WORD", true, COMPLETE_WORD}, {"WORD", true, COMPLETE_WORD}},
	 NULL,
	 "explain a command",
	 "",
	 "xbd help volume create"},
};
