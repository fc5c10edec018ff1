"""Noisy sums as classes."""

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset


def split(seed, n):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=generator)
    return TensorDataset(x, (x.sum(1) + torch.randn(n, generator=generator) > 0).long())


class Signals(LightningDataModule):
    def __init__(self, batch_size, seed):
        super().__init__()
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self):
        order = torch.Generator().manual_seed(1000 * self.seed + self.trainer.current_epoch)
        return DataLoader(split(0, 256), self.batch_size, shuffle=True, generator=order)

    def val_dataloader(self):
        return DataLoader(split(1, 500), 500)
