"""Working caches."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

KeysValues = tuple[
    Float[Tensor, "batch kv_heads keys head_dim"], Float[Tensor, "batch kv_heads keys head_dim"], Int[Tensor, "batch keys"]
]


class KVCache:
    """Room for `capacity` tokens of one layer."""

    def __init__(
        self,
        batch: int,
        n_kv_heads: int,
        head_dim: int,
        capacity: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        self.keys, self.values = torch.zeros(2, batch, n_kv_heads, capacity, head_dim, dtype=dtype, device=device)
        self.positions = -torch.ones(batch, capacity, dtype=torch.int64, device=device)
        self.length = 0

    def append(
        self,
        keys: Float[Tensor, "batch kv_heads time head_dim"],
        values: Float[Tensor, "batch kv_heads time head_dim"],
        positions: Int[Tensor, "#batch time"],
    ) -> KeysValues:
        """All tokens so far."""
        time, capacity = keys.size(2), self.keys.size(2)
        if self.length + time > capacity:
            raise ValueError(f"the cache has room for {capacity} tokens and would hold {self.length + time}")
        parts = (self.keys, keys, 2), (self.values, values, 2), (self.positions, positions, 1)
        for room, new, axis in parts:
            room.narrow(axis, self.length, time).copy_(new)
        self.length += time
        return tuple(room.narrow(axis, 0, self.length) for room, _, axis in parts)

    @property
    def n_bytes(self) -> int:
        """Memory of its tensors."""
        return self.keys.nbytes + self.values.nbytes + self.positions.nbytes


class RollingCache(KVCache):
    """Room for the first `sinks` tokens and the last `window` ones."""

    def __init__(
        self,
        batch: int,
        n_kv_heads: int,
        head_dim: int,
        window: int,
        sinks: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if sinks < 0 or window < 1:
            raise ValueError(f"needed: window ≥ 1 and sinks ≥ 0; got window {window} and sinks {sinks}")
        super().__init__(batch, n_kv_heads, head_dim, window + sinks, dtype, device)
        self.window, self.sinks = window, sinks

    def append(
        self,
        keys: Float[Tensor, "batch kv_heads time head_dim"],
        values: Float[Tensor, "batch kv_heads time head_dim"],
        positions: Int[Tensor, "#batch time"],
    ) -> KeysValues:
        """What was there, and what is new; each row is written slot by slot."""
        news = keys, values, positions.expand(keys.size(0), keys.size(2))
        olds = self.keys, self.values, self.positions
        seen = [torch.cat(pair, -2) for pair in zip(olds[:2], news[:2], strict=True)] + [torch.cat((olds[2], news[2]), -1)]
        for row, places in enumerate(news[2].tolist()):
            last = {
                p if p < self.sinks else self.sinks + (p - self.sinks) % self.window: i for i, p in enumerate(places) if p >= 0
            }
            to, chosen = (torch.tensor(list(numbers), dtype=torch.int64, device=keys.device) for numbers in (last, last.values()))
            for old, new in zip(olds, news, strict=True):
                axis = 1 if old.ndim == 4 else 0
                old[row].index_copy_(axis, to, new[row].index_select(axis, chosen))
        return tuple(seen)
