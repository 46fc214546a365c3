# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Shared by the system tests. Each test is a script named by the sentence it proves; it makes a lab
# of its own and exits 0 (holds), 1 (does not) or 77 (cannot be tried here; the reason is printed).
# Whatever happens, its lab, its processes and its files are gone afterwards.
#
# A test sets `limit` to its seconds if 120 do not suit and then sources this file.

set -euo pipefail

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${XBD_BUILD:-$tree/build}
test_name=$(basename "$0")
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# The whole test runs under a time limit, in a process group of its own.
# exec keeps the process id, so the mark is that of our parent, `timeout`.
if [ "${XBD_TEST_LIMITED:-}" != "$PPID" ]; then
	XBD_TEST_LIMITED=$$ exec timeout --kill-after=20 "${limit:-120}" "$0" "$@"
fi

lab_name=${XBD_TEST_TAG:-t$$}$RANDOM
tmp=
uri=

note() {
	printf '%s: %s\n' "$test_name" "$*"
}

fail() {
	note "FAIL: $*"
	exit 1
}

skip() {
	note "SKIP: $*"
	exit 77
}

lab() {
	"$tree/scripts/lab" --name "$lab_name" "$@"
}

# Start a lab with the given options of `lab up`; sets uri.
lab_up() {
	local out
	out=$(lab up "$@") || {
		note "lab up $* failed"
		return 1
	}
	uri=$(uri_of "$out")
}

uri_of() {
	printf '%s\n' "$1" | sed -n 's/^uri: //p' | tail -n 1
}

show_logs() {
	local log
	for log in /run/xbd-lab/"$lab_name"/log/*; do
		[ -s "$log" ] || continue
		printf -- '---- end of %s\n' "${log##*/}"
		tail -n 12 "$log"
	done
}

cleanup() {
	local status=$?
	trap - EXIT INT TERM
	trap '' PIPE # whoever read our output may be gone
	set +e
	if [ $status != 0 ] && [ $status != 77 ]; then
		[ $status != 143 ] || note "FAIL: ran into the time limit"
		lab status 2>/dev/null
		show_logs
	fi
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	lab down
	[ -z "$tmp" ] || rm -rf "$tmp"
	exit $status
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

[ "$(id -u)" = 0 ] || skip "needs root"
[ -x "$build/user/cmd/xbdd" ] || fail "no daemons in $build: run scripts/build"
ip netns add "probe$lab_name" 2>/dev/null || skip "cannot make network namespaces here"
ip netns del "probe$lab_name"

for program in jq fio qemu-io qemu-img nbdcopy nbdinfo mke2fs e2fsck python3; do
	command -v "$program" >/dev/null || skip "no $program: run scripts/deps"
done

# Files in memory if there is room, so that the disk does not set the pace.
if [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt $((2 << 20)) ]; then
	tmp=$(mktemp -d /dev/shm/xbdtest.XXXXXX)
else
	tmp=$(mktemp -d /var/tmp/xbdtest.XXXXXX)
fi

# One number of a daemon's counters: counter NODE JQ-PATH.
counter() {
	lab stats "$1" --json | jq -e "$2 | numbers"
}

# wait_until SECONDS COMMAND...: poll until it succeeds.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

# State of every replica that belongs to a node, as the exporting host sees it, once per shard.
replica_states() {
	lab status --json |
		jq -r --arg node "node$1" '."'"${2:-export}"'".shards[].replicas[] | select(.node == $node) | .state'
}

node_is_synced() {
	local states
	states=$(replica_states "$@" | sort -u) && [ "$states" = synced ]
}

all_are_synced() {
	local i
	for i in 1 2 3; do
		node_is_synced "$i" || return 1
	done
}

# A file system image with real files in it: make_fs FILE SIZE.
make_fs() {
	local from=/usr/share/doc
	[ -d "$from/gcc" ] || from=/usr/lib/python3
	mkdir -p "$tmp/files"
	find "$from" -type f -size -256k | awk 'NR <= 3000' | tar -cf - --no-recursion -T - 2>/dev/null |
		tar -xf - -C "$tmp/files"
	truncate -s "$2" "$1"
	mke2fs -q -t ext4 -F -d "$tmp/files" "$1"
	rm -rf "$tmp/files"
}

# Compare the volume with a file and check the file system on the copy: check_fs FILE URI.
check_fs() {
	qemu-img convert -f raw -O raw "$2" "$tmp/back"
	truncate -s "$(stat -c %s "$1")" "$tmp/back"
	cmp "$1" "$tmp/back" || fail "what came back differs"
	e2fsck -fn "$tmp/back" >"$tmp/fsck" 2>&1 || {
		cat "$tmp/fsck"
		fail "e2fsck finds damage"
	}
	rm -f "$tmp/back"
}

# qemu-io on the volume: io URI COMMAND...
io() {
	local at=$1 c args=()
	shift
	for c in "$@"; do
		args+=(-c "$c")
	done
	qemu-io -f raw "${args[@]}" "$at"
}

# Random writes and reads with every block verified: fio_verify SECONDS [OPTION...]
fio_verify() {
	local seconds=$1
	shift
	fio --name=verify --ioengine=nbd --uri="$uri" --rw=randrw --bsrange=512-128k --blockalign=512 \
		--iodepth=32 --verify=crc32c --verify_fatal=1 --verify_backlog=512 --verify_state_save=0 --size=64M \
		--time_based --runtime="$seconds" --output-format=json --output="$tmp/fio.json" "$@" || {
		tail -n 30 "$tmp/fio.json"
		fail "fio: an error or data that is not what was written"
	}
	note "$(jq -r '.jobs[0] | "read \(.read.total_ios) operations, \(.read.io_bytes / 1048576 | floor) MiB, wrote \(.write.total_ios), \(.write.io_bytes / 1048576 | floor) MiB"' "$tmp/fio.json")"
	[ "$(jq '.jobs[0].write.total_ios' "$tmp/fio.json")" -gt 0 ] || fail "fio wrote nothing"
}
