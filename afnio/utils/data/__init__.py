"""Data sets, samplers and the loader that makes batches of them, with the names and habits of ``torch.utils.data``."""

from afnio.utils.data.collate import default_collate
from afnio.utils.data.dataloader import DataLoader
from afnio.utils.data.dataset import ConcatDataset, Dataset, Subset, TableDataset, random_split
from afnio.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TableDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
]
