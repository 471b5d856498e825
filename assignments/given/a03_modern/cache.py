"""Working KV caches: one that keeps all tokens, and one that keeps a window and sinks."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

KeysValues = tuple[
    Float[Tensor, "batch_size kv_heads keys head_dim"],
    Float[Tensor, "batch_size kv_heads keys head_dim"],
    Int[Tensor, "batch_size keys"],
]


class KVCache:
    """Room for `capacity` tokens of one layer.

    `keys`, `values`: (batch_size, n_kv_heads, capacity, head_dim).
    `positions`: (batch_size, capacity), absolute positions, −1 for padding and for slots that are free.
    `length`: slots in use.
    """

    def __init__(
        self,
        batch_size: int,
        n_kv_heads: int,
        head_dim: int,
        capacity: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        self.keys, self.values = torch.zeros(2, batch_size, n_kv_heads, capacity, head_dim, dtype=dtype, device=device)
        self.positions = -torch.ones(batch_size, capacity, dtype=torch.int64, device=device)
        self.length = 0

    def append(
        self,
        keys: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        values: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        positions: Int[Tensor, "#batch_size seq_len"],
    ) -> KeysValues:
        """Take up new tokens. Returns all tokens so far, the new ones last. ValueError: there is no room for them."""
        seq_len, capacity = keys.size(2), self.keys.size(2)
        if self.length + seq_len > capacity:
            raise ValueError(f"the cache has room for {capacity} tokens and would hold {self.length + seq_len}")
        parts = (self.keys, keys, 2), (self.values, values, 2), (self.positions, positions, 1)
        for room, new, axis in parts:
            room.narrow(axis, self.length, seq_len).copy_(new)
        self.length += seq_len
        return tuple(room.narrow(axis, 0, self.length) for room, _, axis in parts)

    @property
    def n_bytes(self) -> int:
        """Memory of its tensors, in bytes."""
        return self.keys.nbytes + self.values.nbytes + self.positions.nbytes


class RollingCache(KVCache):
    """Room for the first `sinks` tokens of a sequence and its last `window` ones.

    ValueError: window is less than 1, or sinks is less than 0.
    """

    def __init__(
        self,
        batch_size: int,
        n_kv_heads: int,
        head_dim: int,
        window: int,
        sinks: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if sinks < 0 or window < 1:
            raise ValueError(f"needed: window ≥ 1 and sinks ≥ 0; got window {window} and sinks {sinks}")
        super().__init__(batch_size, n_kv_heads, head_dim, window + sinks, dtype, device)
        self.window, self.sinks = window, sinks

    def append(
        self,
        keys: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        values: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        positions: Int[Tensor, "#batch_size seq_len"],
    ) -> KeysValues:
        """Take up new tokens. Returns what was there and what is new, with positions.

        positions: each row counts on from its last one, behind any padding.
        """
        news = keys, values, positions.expand(keys.size(0), keys.size(2))
        olds = self.keys, self.values, self.positions
        visible = [torch.cat(pair, -2) for pair in zip(olds[:2], news[:2], strict=True)] + [torch.cat((olds[2], news[2]), -1)]
        for row, row_positions in enumerate(news[2].tolist()):
            last = {
                p if p < self.sinks else self.sinks + (p - self.sinks) % self.window: i
                for i, p in enumerate(row_positions)
                if p >= 0
            }
            to, chosen = (torch.tensor(list(numbers), dtype=torch.int64, device=keys.device) for numbers in (last, last.values()))
            for old, new in zip(olds, news, strict=True):
                axis = 1 if old.ndim == 4 else 0
                old[row].index_copy_(axis, to, new[row].index_select(axis, chosen))
        return tuple(visible)
