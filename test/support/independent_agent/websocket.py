"""WebSockets of RFC 6455, the client's side without extensions."""
import base64
import secrets
import socket
import struct
import threading


class Closed(Exception):
    """A connection ended; `code` is how, None without a close frame."""

    def __init__(self, code, reason):
        super().__init__(f"{reason} ({code})")
        self.code = code


class WebSocket:
    """RFC 6455, a client without extensions."""

    def __init__(self, address, path, token):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {address}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.input = self.socket.makefile("rb")
        status = self.input.readline()
        while self.input.readline() not in (b"\r\n", b""):
            pass
        if b" 101 " not in status:
            raise Closed(None, f"{address} answers {status.decode(errors='replace').strip()}")
        self.sending = threading.Lock()

    def send(self, payload, opcode=1):
        data = payload.encode() if isinstance(payload, str) else payload
        size = len(data)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        mask = secrets.token_bytes(4)
        padded = int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        with self.sending:
            self.socket.sendall(head + mask + padded.to_bytes(size, "big"))

    def exactly(self, size):
        data = self.input.read(size)
        if len(data) < size:
            raise Closed(None, "the connection broke")
        return data

    def receive(self):
        """The next message: its opcode (1 text, 2 binary) and its bytes. Throws Closed, and OSError on silence."""
        message, kind = b"", 0
        while True:
            first, second = self.exactly(2)
            size = second & 127
            if size == 126:
                (size,) = struct.unpack("!H", self.exactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.exactly(8))
            data, opcode = self.exactly(size), first & 15
            if opcode == 8:
                code = struct.unpack("!H", data[:2])[0] if len(data) > 1 else None
                raise Closed(code, data[2:].decode(errors="replace"))
            if opcode == 9:
                self.send(data, 10)
            elif opcode < 3:
                kind, message = kind or opcode, message + data
                if first & 0x80:
                    return kind, message

    def close(self):
        try:
            self.send(struct.pack("!H", 1000), 8)
        except OSError:
            pass
        self.socket.close()
