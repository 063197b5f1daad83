"""What can go wrong with an attempt."""


class Failure(Exception):
    """What an attempt is reported to have failed of."""

    def __init__(self, code, message, kind="infrastructure"):
        super().__init__(message)
        self.code, self.kind = code, kind
