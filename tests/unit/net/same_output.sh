#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Usage: same_output.sh PROGRAM FILE: does PROGRAM write what FILE holds?
"$1" | diff - "$2" >/dev/null && exit 0
echo "$2 differs from the output of $1"
exit 1
