# SPDX-License-Identifier: BSD-2-Clause
"""Send ten packets of each of the named bad kinds: ADDRESS PORT SHARD KIND..."""
import socket
import struct
import sys

MASK = (1 << 64) - 1
WRITE, ACK, LIST, PROMISE, SYNC, INFO = 1, 2, 12, 8, 16, 28
NO_SLOT = 0xFF


def rotl(x, b):
    return (x << b | x >> (64 - b)) & MASK


def siphash(data, k0=0, k1=0):
    """SipHash-2-4 as its paper defines it."""
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = rotl(v[1], 13) ^ v[0]
            v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = rotl(v[1], 17) ^ v[2]
            v[2] = rotl(v[2], 32)

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def packet(body=b"", sign=True, **fields):
    """A WRITE of one block's first quarter in a far epoch, with the given fields changed."""
    f = dict(magic=0xBD, version=1, type=WRITE, flags=0, shard=shard, ver=(1 << 23) << 40 | 1, block=0,
             frag=0, nfrag=4, len=len(body), crc=0, key=0, sender=NO_SLOT, count=1, ver2=0, commit=0, stamp=0)
    f.update(fields)
    head = struct.pack("<BBBBIQIBBHIBBHQQQ", *f.values())
    assert len(head) == 56
    tag = siphash(head) if sign else 0x1234
    return head + struct.pack("<Q", tag) + body


def control(kind, body=b"", **fields):
    return packet(body, **{**dict(type=kind, nfrag=0, count=0), **fields})


def bad_packets():
    block = bytes(1024)
    return {
        "SHORT": packet(block)[:40],
        "MAGIC": packet(block, magic=0xBE),
        "VERSION": packet(block, version=9),
        "TYPE": packet(block, type=200),
        "DIRECTION": control(ACK),
        "FLAGS": packet(block, flags=0x80),
        "SHARD": packet(block, shard=1 << 16),
        "EPOCH": packet(block, ver=1),
        "LENGTH": packet(block, len=2048),
        "FRAGMENT": packet(block, frag=4),
        "COUNT": packet(block, count=33),
        "RANGE": packet(block, block=(1 << 24) - 1, count=2, nfrag=8),
        "SENDER": packet(block, sender=6),
        "KEY": packet(block, key=3),
        "TAG": packet(block, sign=False),
        "STALE": packet(block, ver=1 << 40 | 1, flags=0),
        "BODY_CRC": control(PROMISE, bytes(24), shard=shard, crc=0xDEADBEEF),
    }


address, port, shard = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kinds = bad_packets()
sender = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
for name in sys.argv[4:]:
    for _ in range(10):
        sender.sendto(kinds[name], (address, port))
