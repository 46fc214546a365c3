#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What xbd says when it cannot do what was asked: the exit status, and one clear line on standard
# error. Usage: errors_are_clear.sh XBD
set -u
xbd=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
conf=$dir/xbd.conf
: >"$conf"

# refused STATUS TEXT ARGUMENT...
refused() {
	want_status=$1
	want=$2
	shift 2
	"$xbd" --config "$conf" --meta "$dir/meta" --run-dir "$dir/run" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	lines=$(wc -l <"$dir/err")
	if [ $status != "$want_status" ] || [ "$lines" -gt 2 ] || { [ -n "$want" ] && ! head -n 1 "$dir/err" | grep -qF -- "$want"; }; then
		echo "FAIL: xbd $*: status $status, wanted $want_status and \"$want\":"
		cat "$dir/err"
		bad=1
	fi
}

# ok TEXT ARGUMENT...
ok() {
	want=$1
	shift
	if ! "$xbd" --config "$conf" --meta "$dir/meta" --run-dir "$dir/run" "$@" >"$dir/out" 2>&1 </dev/null ||
		! grep -qF -- "$want" "$dir/out"; then
		echo "FAIL: xbd $*: wanted \"$want\":"
		cat "$dir/out"
		bad=1
	fi
}

refused 2 'a command is missing'
refused 2 'did you mean "volume"' volum list
refused 2 '--size SIZE is missing' volume create v
refused 2 'volume name "no/slash" is not valid' volume create no/slash --size 1G
refused 2 'multiple of 4 KiB' volume create v --size 1000
refused 2 'multiple of 128M' volume create v --size 1G --shard-size 1M
refused 1 'the cluster has 0' volume create v --size 1G
refused 1 'no volume "v"' volume info v
refused 1 'no volume "v"' volume delete v
refused 1 'no volume "v"' export v
refused 1 'no node "n"' node info n
refused 1 'no node "n"' node remove n
refused 1 'no node "n"' volume create v --size 1G --nodes n
refused 2 'not a numeric IPv4 or IPv6 address' node add n localhost
refused 1 '127.0.0.1:1 refuses: no xbdd is listening' node add n 127.0.0.1:1
refused 1 'etcd://h:1' volume list --meta etcd://h:1
refused 1 'does not exist; give --size' node init "$dir/store"
refused 1 'No such file or directory' node init "$dir/none/store" --size 64M
printf 'hello' >"$dir/data"
refused 1 'holds data already; use --force' node init "$dir/data"
refused 1 'neither a block device nor a file' node init "$dir"
refused 1 'too small' node init "$dir/small" --size 64K
[ ! -e "$dir/small" ] || {
	echo "FAIL: a store that could not be made was left behind"
	bad=1
}
refused 1 'no node or export "x"' stats x
mkdir "$dir/run"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$dir/run/node-gone.sock"
ok 'is not running any more' status
refused 1 '' status --check
grep -q 'gone *no answer' "$dir/out" || {
	echo "FAIL: status does not show the daemon that is gone"
	bad=1
}
refused 1 '' stats gone

printf '\nnode = { transport = "pigeon"; };\n' >"$conf"
refused 1 'xbd.conf:2: node.transport: "pigeon" is not one of auto|xdp|udp' status
refused 1 'xbd.conf:2: ' config check
printf 'this is not a configuration\n' >"$conf"
refused 1 'xbd.conf:1: ' status
: >"$conf"
ok 'ok' config check
ok 'run_dir = "' config show
ok '"lease_ms": 600' config show --json
ok 'no nodes' node list
ok '"volumes": []' volume list --json
ok 'usage: xbd volume create' help volume create
ok 'volume resize NAME' volume --help

# Damage of the metadata is named, by file.
printf 'xbd-meta 1 version=1 crc32c=00000000 len=2\n{}' >"$dir/meta/node/broken"
refused 1 'meta/node/broken is damaged' node list
refused 1 'meta/node/broken is damaged' volume create v --size 1G

# Output that cannot be written is a failure.
if [ -e /dev/full ]; then
	"$xbd" --help >/dev/full 2>"$dir/err" && {
		echo "FAIL: a full disk went unnoticed"
		bad=1
	}
fi
exit $bad
