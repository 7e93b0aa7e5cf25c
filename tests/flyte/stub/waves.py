"""Holds calls until no other arrives, and responds to all: the calls of one wave were concurrent.

`waves`: the number of waves is how often a client that asks for all it can ask for has to wait for an answer. How long an
answer takes has no part in it.
"""

import threading
import time

import state

# The time without a new call after which the held ones get their responses, in seconds.
QUIET = 1.0


class Waves:
    """The held calls, and the sizes of earlier waves."""

    def __init__(self):
        self.condition = threading.Condition()
        self.held = 0
        self.number = 0
        self.last = 0.0

    def hold(self):
        with self.condition:
            self.held += 1
            self.last = time.monotonic()
            number = self.number
            while self.number == number:
                left = self.last + QUIET - time.monotonic()
                if left > 0:
                    self.condition.wait(left)
                    continue
                state.write("waves", f"{self.number:04}", str(self.held).encode())
                self.number += 1
                self.held = 0
                self.condition.notify_all()


WAVES = Waves()


def hold():
    if "waves" in state.BEHAVIOUR:
        WAVES.hold()
