"""What train.py trains."""

import math


class Net:
    def __init__(self, width, dropout):
        self.width, self.dropout, self.epoch = width, dropout, 0

    def train(self, lr, momentum, rng):
        """One epoch; the accuracy after it."""
        self.epoch += 1
        top = (
            0.9 - 0.05 * abs(math.log10(lr) + 2) - 0.1 * abs(self.dropout - 0.1) - 0.03 * abs(momentum - 0.9) + 0.01 * math.log2(self.width)
        )
        return top * (1 - math.exp(-self.epoch)) + 0.002 * rng.random()
