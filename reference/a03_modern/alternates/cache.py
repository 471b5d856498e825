"""These are other right versions of parts of cache.py. The tolerances allow for all of these routes."""

import torch

from tools.author.cases import alternate


@alternate("cache.KVCache.append")
def copied_with_narrow(self, keys, values, positions):
    """Copies into narrowed views."""
    count, room = keys.size(2), self.keys.size(2)
    if self.length + count > room:
        raise ValueError(f"room for {room} tokens, and {self.length + count} are there")
    for store, new, axis in ((self.keys, keys, 2), (self.values, values, 2), (self.positions, positions, 1)):
        store.narrow(axis, self.length, count).copy_(new)
    self.length += count
    return self.keys.narrow(2, 0, self.length), self.values.narrow(2, 0, self.length), self.positions.narrow(1, 0, self.length)


@alternate("cache.RollingCache.append")
def only_what_is_there_is_shown(self, keys, values, positions):
    """Always what was there and what is new, also for a single token, sorted by position."""
    positions = positions.expand(keys.shape[0], -1)
    there = torch.cat([self.positions, positions], 1)
    order = there.argsort(dim=1)
    pick = order[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
    visible = [torch.cat([old, new], 2).gather(2, pick) for old, new in ((self.keys, keys), (self.values, values))]
    self._store(keys, values, positions)
    return visible[0], visible[1], there.gather(1, order)


@alternate("cache.RollingCache._store")
def one_token_after_the_other(self, keys, values, positions):
    """Row by row and token by token, so that the later one wins."""
    for row, position_list in enumerate(positions.tolist()):
        first = max((i for i, position in enumerate(position_list) if position < self.sinks), default=-1) + 1
        for i in [*range(first), *range(max(first, len(position_list) - self.window), len(position_list))]:
            if position_list[i] >= 0:
                slot = (
                    position_list[i]
                    if position_list[i] < self.sinks
                    else (position_list[i] - self.sinks) % self.window + self.sinks
                )
                self.keys[row, :, slot] = keys[row, :, i]
                self.values[row, :, slot] = values[row, :, i]
                self.positions[row, slot] = position_list[i]
