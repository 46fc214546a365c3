# SPDX-License-Identifier: BSD-2-Clause
"""Requests that a well-behaved client never sends: SOCKET-PATH."""
import socket
import sys

from nbd_client import READ, WRITE, Client


def main():
    c = Client(sys.argv[1])
    assert c.request(READ, c.size, 4096)[0], "a read beyond the end succeeded"
    assert c.request(READ, (1 << 64) - 4096, 4096)[0], "a read at the end of 64 bits succeeded"
    assert c.request(WRITE, c.size - 512, 1024, bytes(1024))[0], "a write across the end succeeded"
    assert c.request(99, 0, 0)[0], "an unknown command succeeded"
    assert c.request(READ, 0, 512)[0] == 0, "the connection does not work any more"
    c.close()
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.sendall(b"\0" * 4096)  # no handshake at all: the server may hang up, others must not notice
    s.close()
    c = Client(sys.argv[1])
    c.s.sendall(b"\xff" * 28)  # not a request
    assert c.s.recv(16) == b"", "the server went on after a request without magic"
    assert Client(sys.argv[1]).request(READ, 0, 512)[0] == 0, "a new connection does not work"


main()
