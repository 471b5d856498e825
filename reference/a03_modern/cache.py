"""Keys and values of earlier tokens, kept for later ones: all of them, or only those of a window and of the first tokens.

A cache belongs to one layer. Its keys are rotated already, so nothing has to be done to them again. It is for generation, under
`torch.no_grad()`. Left out: pages shared by several sequences, and compressed keys.
Source: rolling buffer: Mistral 7B, arXiv:2310.06825, §2; sinks: arXiv:2309.17453, §3.2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

KeysValues = tuple[
    Float[Tensor, "batch_size kv_heads keys head_dim"],
    Float[Tensor, "batch_size kv_heads keys head_dim"],
    Int[Tensor, "batch_size keys"],
]  # keys, values, and the absolute position of each, −1 where there is none


class KVCache:
    """Room for `capacity` tokens. It is allocated at once, so that adding a token copies one token.

    `keys`, `values`: (batch_size, n_kv_heads, capacity, head_dim).
    `positions`: (batch_size, capacity), absolute positions, −1 for padding and for slots that are free.
    `length`: slots in use, the same in every row.
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
        self.keys = torch.zeros(batch_size, n_kv_heads, capacity, head_dim, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.positions = torch.full((batch_size, capacity), -1, device=device)
        self.length = 0

    def append(
        self,
        keys: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        values: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        positions: Int[Tensor, "#batch_size seq_len"],
    ) -> KeysValues:
        """Take up new tokens behind those that are there. Returns all that there are now, the new ones last.

        ValueError: there is no room for them.
        """
        end = self.length + keys.shape[2]
        if end > self.keys.shape[2]:
            raise ValueError(
                f"the cache has room for {self.keys.shape[2]} tokens and would hold {end}; make it larger, or rolling"
            )
        # TODO: write, then return what is in use (handout: cache, step 1).
        # Watch: along which axis tokens stand; views, not copies; positions of one row may stand for all.
        # BEGIN SOLUTION
        new = slice(self.length, end)
        self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end], self.positions[:, :end]
        # END SOLUTION

    @property
    def n_bytes(self) -> int:
        """Memory of its tensors, in bytes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.keys, self.values, self.positions))


class RollingCache(KVCache):
    """Room for the first `sinks` tokens of a sequence and its last `window` ones. All memory is allocated at once.

    Position p has the slot p if p < sinks, else sinks + (p − sinks) mod window. So a token replaces the one that has just left the
    window. Rows may stand at different positions.

    `keys`, `values`: (batch_size, n_kv_heads, sinks + window, head_dim).
    `positions`: (batch_size, sinks + window), −1 where a slot is free.
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
        if window < 1 or sinks < 0:
            raise ValueError(f"needed: window ≥ 1 and sinks ≥ 0; got window {window} and sinks {sinks}")
        super().__init__(batch_size, n_kv_heads, head_dim, sinks + window, dtype, device)
        self.window, self.sinks = window, sinks

    def append(
        self,
        keys: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        values: Float[Tensor, "batch_size kv_heads seq_len head_dim"],
        positions: Int[Tensor, "#batch_size seq_len"],
    ) -> KeysValues:
        """Take up new tokens. Returns all keys that one of them may see, in any order, each with its position.

        Several tokens at once see more than will be kept: the first of them still sees what the last of them pushes out.

        positions: each row counts on from its last one, behind any padding.
        """
        positions = positions.expand(len(keys), -1)
        if keys.shape[2] == 1:  # whom it replaces has left the window by now
            self._store(keys, values, positions)
            return self.keys, self.values, self.positions
        # TODO: the general case, several tokens at once (handout: cache, step 2).
        # Watch: what was there before the new tokens came; the order of reading and writing.
        # BEGIN SOLUTION
        visible = (
            torch.cat([self.keys, keys], dim=2),
            torch.cat([self.values, values], dim=2),
            torch.cat([self.positions, positions], dim=1),
        )
        self._store(keys, values, positions)
        return visible
        # END SOLUTION

    def _store(self, keys: Tensor, values: Tensor, positions: Int[Tensor, "batch_size seq_len"]) -> None:
        """Write each token into its slot, but for padding and for those that later ones of the same call push out."""
        # TODO: which tokens stay, and where (handout: cache, step 3).
        # Watch: sinks are never pushed out; two tokens in one slot: the later one must win; rows differ.
        # BEGIN SOLUTION
        recent = positions > positions[:, -1:] - self.window
        stays = (positions >= 0) & (recent | (positions < self.sinks))
        slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % self.window)
        row, token = stays.nonzero(as_tuple=True)
        slot = slots[row, token]
        self.keys[row, :, slot] = keys[row, :, token]
        self.values[row, :, slot] = values[row, :, token]
        self.positions[row, slot] = positions[row, token]
        # END SOLUTION
