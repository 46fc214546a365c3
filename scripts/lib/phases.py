# SPDX-License-Identifier: BSD-2-Clause
"""Cut a fio latency log with a line per request into phases and print a table.

Arguments: LOG FIRST-PHASE [PHASE=START-MS...], times as in the log.
"""
import bisect
import sys


def percentile(ordered, p):
    return ordered[min(len(ordered) - 1, int(len(ordered) * p))] / 1000


def main():
    names, starts = [sys.argv[2]], []
    for arg in sys.argv[3:]:
        name, _, start = arg.rpartition("=")
        names.append(name)
        starts.append(int(start))
    phases = [{"lat": [], "bytes": 0, "times": []} for _ in names]
    with open(sys.argv[1], encoding="ascii") as f:
        for line in f:
            time_ms, lat_ns, _, size = (int(x) for x in line.split(",")[:4])
            p = phases[bisect.bisect_right(starts, time_ms)]
            p["lat"].append(lat_ns)
            p["bytes"] += size
            p["times"].append(time_ms)
    print(f"{'':16}{'IOPS':>9}{'MiB/s':>9}{'p50':>10}{'p99':>10}{'max':>12}{'longest stall':>16}")
    last = None  # a stall belongs to the phase in which it ends
    for name, p in zip(names, phases):
        if not p["times"]:
            print(f"{name:16}no request completed")
            continue
        times = sorted(p["times"])
        gaps = [b - a for a, b in zip([last if last is not None else times[0]] + times, times)]
        seconds = max(times[-1] - times[0], 1) / 1000
        p["lat"].sort()
        print(f"{name:16}{len(times) / seconds:9.0f}{p['bytes'] / seconds / 2**20:9.1f}"
              f"{percentile(p['lat'], .5):7.0f} us{percentile(p['lat'], .99):7.0f} us"
              f"{p['lat'][-1] / 1e6:9.1f} ms{max(gaps):13d} ms")
        last = times[-1]


main()
