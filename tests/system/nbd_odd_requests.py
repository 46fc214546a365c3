# SPDX-License-Identifier: BSD-2-Clause
"""Requests that a well-behaved client never sends, straight on the socket: SOCKET-PATH."""
import socket
import struct
import sys

GREETING = b"NBDMAGICIHAVEOPT"
EXPORT_NAME, REQUEST, SIMPLE_REPLY = 1, 0x25609513, 0x67446698
READ, WRITE = 0, 1


def receive(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        assert part, "the server hung up"
        data += part
    return data


def connect(path, name=b"vol0"):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    assert receive(s, 16) == GREETING
    flags = struct.unpack(">H", receive(s, 2))[0]
    assert flags & 3 == 3, "fixed newstyle and no-zeroes"
    s.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", EXPORT_NAME, len(name)) + name)
    size, _ = struct.unpack(">QH", receive(s, 10))
    return s, size


def request(s, command, offset, length, cookie, data=b"", flags=0):
    s.sendall(struct.pack(">IHHQQI", REQUEST, flags, command, cookie, offset, length) + data)
    magic, error, back = struct.unpack(">IIQ", receive(s, 16))
    assert magic == SIMPLE_REPLY and back == cookie, "reply does not belong to the request"
    return error, receive(s, length) if command == READ and not error else b""


def main():
    s, size = connect(sys.argv[1])
    assert request(s, READ, size, 4096, 1)[0], "a read beyond the end succeeded"
    assert request(s, READ, (1 << 64) - 4096, 4096, 2)[0], "a read at the end of 64 bits succeeded"
    assert request(s, WRITE, size - 512, 1024, 3, bytes(1024))[0], "a write across the end succeeded"
    assert request(s, 99, 0, 0, 4)[0], "an unknown command succeeded"
    assert request(s, READ, 0, 512, 5)[0] == 0, "the connection does not work any more"
    s.close()
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.sendall(b"\0" * 4096)  # no handshake at all: the server may hang up, others must not notice
    s.close()
    s, _ = connect(sys.argv[1])
    s.sendall(b"\xff" * 28)  # not a request
    assert s.recv(16) == b"", "the server went on after a request without magic"
    assert request(connect(sys.argv[1])[0], READ, 0, 512, 6)[0] == 0


main()
