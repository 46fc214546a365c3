# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Shared by all scripts: where the tree and its binaries are, messages, privileges.

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Where the binaries are; XBD_BUILD lets a test use another build.
build=${XBD_BUILD:-$tree/build}
# Programs of the system live in sbin too, which a plain user's PATH may lack.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$@"
	exit 1
}

# Exit status 2 is for a command line that makes no sense.
usage_error() {
	say "$@"
	printf 'Try: %s --help\n' "$0" >&2
	exit 2
}

# Print the comment block at the top of the running script: that is its help text.
show_help() {
	sed -n '2,/^[^#]/{/^# SPDX/d;s/^# \{0,1\}//p}' "$0"
}

need_root() {
	[ "$(id -u)" = 0 ] || die "needs root: it makes network namespaces and loads BPF programs"
}

is_built() {
	[ -x "$build/user/cmd/xbd" ] && [ -x "$build/user/cmd/xbdd" ]
}

# Build when there is nothing to run yet, so that each script works from a fresh clone.
need_build() {
	! is_built || return 0
	if [ -z "${XBD_BUILD:-}" ]; then
		"$tree/scripts/deps" >&2
		"$tree/scripts/build" >&2
	fi
	is_built || die "no xbd and xbdd in $build/user/cmd"
}

# Bytes of a size like 512M or 1G.
to_bytes() {
	numfmt --from=iec -- "$1" 2>/dev/null || usage_error "not a size: $1"
}
