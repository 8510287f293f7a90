"""A worker whose decoder dies, hangs or eats memory where a file's last bytes say so."""

import os
import signal
import time

from actatlas.images.decoding import decode
from actatlas.images.worker import main


def faulty(content: bytes, wanted_px: int | None):
    if content.endswith(b"fault:segv"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if content.endswith(b"fault:hang"):
        time.sleep(600)
    if content.endswith(b"fault:loop"):
        while True:
            pass
    if content.endswith(b"fault:oom"):
        held = [bytearray(2**28) for _ in range(100)]
        assert held
    if content.endswith(b"fault:exit"):
        os._exit(3)
    return decode(content, wanted_px)


if __name__ == "__main__":
    main(faulty)
