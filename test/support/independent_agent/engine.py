"""A Docker Engine, by its HTTP API."""
import http.client
import json
import socket

from failure import Failure


class Engine:
    """A Docker Engine at a Unix socket."""

    def __init__(self, host):
        self.path = host.removeprefix("unix://")

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("engine")
        wire = connection.sock = socket.socket(socket.AF_UNIX)
        try:
            wire.connect(self.path)
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
        except OSError as error:
            raise Failure("engine-down", f"{self.path}: {error}") from error
        if response.status >= 300:
            raise Failure("engine-error", response.read().decode(errors="replace").strip())
        return wire, response

    def call(self, method, path):
        """The whole answer."""
        wire, response = self.request(method, path)
        with wire:
            return response.read()

    def json(self, path):
        return json.loads(self.call("GET", path))

    def messages(self, method, path, job, body=None, headers=None):
        wire, response = self.request(method, path, body, headers)
        job.stops(lambda: wire.shutdown(socket.SHUT_RDWR))
        with wire:
            for line in response:
                if line.strip():
                    yield json.loads(line)
