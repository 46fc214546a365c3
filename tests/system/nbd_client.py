# SPDX-License-Identifier: BSD-2-Clause
"""A small NBD client on a Unix socket: old style handshake, simple replies, requests in flight."""
import socket
import struct

GREETING = b"NBDMAGICIHAVEOPT"
EXPORT_NAME, REQUEST, SIMPLE_REPLY = 1, 0x25609513, 0x67446698
READ, WRITE, FLUSH = 0, 1, 3


class Client:
    """Errors of the connection are OSError; the connection is of no use afterwards."""

    def __init__(self, path, export=b"vol0", timeout=30):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(timeout)
        try:
            self.s.connect(path)
            if self.receive(16) != GREETING:
                raise OSError("not an NBD server")
            flags = struct.unpack(">H", self.receive(2))[0]
            if flags & 3 != 3:
                raise OSError("server without fixed newstyle or no-zeroes")
            self.s.sendall(struct.pack(">IQII", 3, 0x49484156454F5054, EXPORT_NAME, len(export)) + export)
            self.size, self.flags = struct.unpack(">QH", self.receive(10))
        except OSError:
            self.s.close()
            raise
        self.lengths = {}  # of reads in flight, by cookie

    def close(self):
        self.s.close()

    def receive(self, n):
        data = bytearray()
        while len(data) < n:
            part = self.s.recv(n - len(data))
            if not part:
                raise OSError("the server hung up")
            data += part
        return bytes(data)

    def send(self, command, offset, length, cookie, data=b"", flags=0):
        if command == READ:
            self.lengths[cookie] = length
        self.s.sendall(struct.pack(">IHHQQI", REQUEST, flags, command, cookie, offset, length) + data)

    def reply(self):
        """Wait for any reply: cookie, error, data."""
        magic, error, cookie = struct.unpack(">IIQ", self.receive(16))
        if magic != SIMPLE_REPLY:
            raise OSError("a reply without magic")
        length = self.lengths.pop(cookie, 0)
        return cookie, error, self.receive(length) if not error else b""

    def request(self, command, offset, length, data=b"", flags=0):
        """One request and its reply: error, data."""
        self.send(command, offset, length, 1, data, flags)
        cookie, error, data = self.reply()
        if cookie != 1:
            raise OSError("a reply to another request")
        return error, data
