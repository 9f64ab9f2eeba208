"""A stream that says of itself what a test wants."""

import io


class Terminal(io.TextIOWrapper):
    """A terminal of some encoding that remembers what was written."""

    def __init__(self, encoding="utf-8"):
        self.raw_bytes = io.BytesIO()
        super().__init__(self.raw_bytes, encoding=encoding, write_through=True)

    def isatty(self):
        return True

    def text(self):
        return self.raw_bytes.getvalue().decode(self.encoding)
