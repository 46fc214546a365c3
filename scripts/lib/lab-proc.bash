# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The lab's processes. Each is known by a file pid/HOST that holds its process id and start time;
# the second guards against a reused id, so that the lab ends only what it started.

# Start time of a process in clock ticks since boot; fails if there is none.
proc_start_time() {
	local -a stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	# The name, in parentheses, may hold spaces: skip past it.
	stat=${stat##*) }
	read -ra stat <<<"$stat"
	[ "${stat[0]}" != Z ] || return 1
	printf '%s' "${stat[19]}"
}

# Print the process id of a host's daemon, if it lives.
proc_pid() {
	local pid start
	[ -f "$state/pid/$1" ] || return 1
	read -r pid start <"$state/pid/$1" || return 1
	[ "$(proc_start_time "$pid")" = "$start" ] || return 1
	printf '%s' "$pid"
}

proc_signal() {
	local pid
	pid=$(proc_pid "$1") || die "$1 is not running"
	kill -s "$2" "$pid"
}

# Wait until a host's daemon is gone; $2 = tenths of a second.
proc_wait_gone() {
	local i
	for ((i = 0; i < $2; i++)); do
		proc_pid "$1" >/dev/null || return 0
		sleep 0.1
	done
	return 1
}

# Ask it to end, then insist.
proc_stop() {
	local pid
	pid=$(proc_pid "$1") || return 0
	kill -s CONT "$pid" 2>/dev/null || true
	kill -s TERM "$pid" 2>/dev/null || true
	proc_wait_gone "$1" "${2:-50}" || {
		say "$1 does not end: killed"
		kill -s KILL "$pid" 2>/dev/null || true
		proc_wait_gone "$1" 50 || say "$1 (process $pid) is still there"
	}
}

# Show why a daemon is not up: $1 = host, then words.
proc_failed() {
	local host=$1
	shift
	say "$host: $*; the end of its log $state/log/$host:"
	tail -n 15 "$state/log/$host" >&2 || true
	return 1
}

# Start a daemon in a host's network and wait for its line `ready ...`, at most 20 seconds.
proc_start() {
	local host=$1 log=$state/log/$1 seen pid i
	shift
	! proc_pid "$host" >/dev/null || return 0
	touch "$log"
	seen=$(stat -c %s "$log")
	setsid nsenter --net="/run/netns/$(ns_of "$host")" -- "$@" </dev/null >>"$log" 2>&1 9>&- &
	pid=$!
	disown # no word from the shell about its end
	printf '%s %s\n' "$pid" "$(proc_start_time "$pid")" >"$state/pid/$host"
	for ((i = 0; i < 400; i++)); do
		! tail -c +$((seen + 1)) "$log" | grep '^ready' >/dev/null || return 0
		proc_pid "$host" >/dev/null || {
			proc_failed "$host" "ended during start"
			return 1
		}
		sleep 0.05
	done
	proc_failed "$host" "not ready after 20 seconds"
}
