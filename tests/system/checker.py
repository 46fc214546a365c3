# SPDX-License-Identifier: BSD-2-Clause
"""Write and read through faults and check every answer: SECONDS SEED STATE-FILE SOCKET...

Each write puts a number that was never used before into whole blocks. For each block the checker
knows the last number that was acknowledged and those whose fate is unknown, because the connection
broke or an error was returned before the answer. A read must give the acknowledged number or one of
unknown fate; what it gives is settled from then on and the others may never be seen again. At most
one request per block is in flight, so nothing else is allowed.

When a connection fails, the next socket is tried. The knowledge is kept in STATE-FILE; with SECONDS 0
all blocks are read and checked against it once.
"""
import json
import os
import random
import struct
import sys
import time

from nbd_client import READ, WRITE, Client

BLOCK = 4096
BLOCKS = 192  # few, so that each is often in doubt; in four clusters across the volume
RUN_MAX = 8   # blocks per request
DEPTH = 16
STALL_MAX = 40  # seconds without any answer that are too many


class Violation(Exception):
    pass


def content(number):
    return struct.pack("<Q", number) * (BLOCK // 8)


def number_of(data, block):
    number = struct.unpack_from("<Q", data)[0]
    if data != content(number):
        raise Violation(f"block {block}: a torn block: begins with {number}")
    return number


class Checker:
    def __init__(self, seed, state_file, sockets):
        self.rnd = random.Random(seed)
        self.state_file, self.sockets = state_file, sockets
        self.acked = [0] * BLOCKS
        self.unknown = [set() for _ in range(BLOCKS)]
        self.next_number = 1
        if os.path.exists(state_file):
            with open(state_file, encoding="ascii") as f:
                saved = json.load(f)
            self.acked, self.next_number = saved["acked"], saved["next"]
            self.unknown = [set(u) for u in saved["unknown"]]
        self.client, self.busy, self.in_flight = None, set(), {}
        self.cookie, self.socket_index = 0, 0
        self.counts = {"writes": 0, "reads": 0, "errors": 0, "connections": 0, "settled": 0}
        self.longest_stall, self.last_answer = 0.0, time.monotonic()

    def save(self):
        with open(self.state_file, "w", encoding="ascii") as f:
            json.dump({"acked": self.acked, "unknown": [sorted(u) for u in self.unknown],
                       "next": self.next_number}, f)

    def offset(self, block):
        cluster, index = divmod(block, BLOCKS // 4)
        return self.client.size // BLOCK // 4 * cluster * BLOCK + index * BLOCK

    # -- the rule --

    def saw(self, block, number):
        if number == self.acked[block] and not self.unknown[block]:
            return
        if number != self.acked[block] and number not in self.unknown[block]:
            raise Violation(f"block {block}: read {number}, acknowledged was {self.acked[block]}, "
                            f"of unknown fate {sorted(self.unknown[block])}")
        self.acked[block], self.unknown[block] = number, set()
        self.counts["settled"] += 1

    def finish(self, op, error, data):
        kind, first, count, number = op
        blocks = range(first, first + count)
        self.busy.difference_update(blocks)
        if error:
            self.counts["errors"] += 1
        for i, block in enumerate(blocks):
            if kind == READ and not error:
                self.saw(block, number_of(data[i * BLOCK:(i + 1) * BLOCK], block))
            elif kind == WRITE and error:
                self.unknown[block].add(number)
            elif kind == WRITE:
                self.acked[block], self.unknown[block] = number, set()
        self.counts["reads" if kind == READ else "writes"] += not error

    # -- the connection --

    def connect(self):
        while True:
            self.check_stall()
            path = self.sockets[self.socket_index % len(self.sockets)]
            try:
                self.client = Client(path, timeout=STALL_MAX)
                self.counts["connections"] += 1
                return
            except OSError:
                self.socket_index += 1
                time.sleep(0.05)

    def disconnect(self):
        self.client.close()
        self.client = None
        for op in self.in_flight.values():
            self.finish(op, True, b"")
        self.in_flight.clear()
        self.socket_index += 1

    def check_stall(self):
        stall = time.monotonic() - self.last_answer
        self.longest_stall = max(self.longest_stall, stall)
        if stall > STALL_MAX:
            raise Violation(f"no answer for {stall:.0f} seconds")

    # -- the load --

    def submit(self, kind, first, count):
        number = 0
        data = b""
        if kind == WRITE:
            number = self.next_number
            self.next_number += 1
            data = content(number) * count
        self.cookie += 1
        self.busy.update(range(first, first + count))
        self.in_flight[self.cookie] = (kind, first, count, number)
        self.client.send(kind, self.offset(first), count * BLOCK, self.cookie, data)

    def submit_any(self):
        count = self.rnd.randint(1, RUN_MAX)
        cluster = self.rnd.randrange(4) * (BLOCKS // 4)
        first = cluster + self.rnd.randrange(BLOCKS // 4 - count + 1)
        if not self.busy.intersection(range(first, first + count)):
            self.submit(self.rnd.choice((READ, WRITE)), first, count)

    def take_reply(self):
        cookie, error, data = self.client.reply()
        self.check_stall()
        if not error:
            self.last_answer = time.monotonic()
        self.finish(self.in_flight.pop(cookie), error, data)
        if error:
            raise OSError("an error reply")

    def step(self):
        try:
            if self.client is None:
                self.connect()
            while len(self.in_flight) < DEPTH:
                before = len(self.in_flight)
                self.submit_any()
                if len(self.in_flight) == before:
                    break
            if self.in_flight:
                self.take_reply()
        except OSError:
            self.check_stall()
            self.disconnect()
            time.sleep(0.02)

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
        while self.in_flight:
            try:
                self.take_reply()
            except OSError:
                self.disconnect()

    def read_all(self):
        unread = list(range(0, BLOCKS, RUN_MAX))
        while unread:
            try:
                if self.client is None:
                    self.connect()
                self.submit(READ, unread[-1], RUN_MAX)
                self.take_reply()
                unread.pop()
            except OSError:  # the socket of a host that was fenced
                self.check_stall()
                self.disconnect()


def main():
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    checker = Checker(seed, sys.argv[3], sys.argv[4:])
    try:
        if seconds:
            checker.run(seconds)
        else:
            checker.read_all()
    except Violation as v:
        print(f"checker: VIOLATION (seed {seed}): {v}")
        sys.exit(1)
    checker.save()
    text = ", ".join(f"{v} {k}" for k, v in checker.counts.items())
    print(f"checker: seed {seed}: {text}, longest wait {checker.longest_stall:.2f} s")
    if seconds and not checker.counts["writes"]:
        sys.exit("checker: nothing was written")


main()
