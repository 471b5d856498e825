"""These are wrong versions of parts of cache.py, one mistake each. A docstring is the hint that a student reads."""

import torch

from tools.author.cases import misconception


def fits_room(cache, keys):
    """The argument check of KVCache.append; where the new tokens end."""
    end = cache.length + keys.shape[2]
    if end > cache.keys.shape[2]:
        raise ValueError("there is no room")
    return end


@misconception("cache.KVCache.append", pitfall=1, ask="Which of the four axes is time?")
def grown_along_the_heads(self, keys, values, positions):
    """New keys are put behind the old ones along the axis of heads."""
    fits_room(self, keys)
    self.keys = torch.cat([self.keys[:, :, : self.length], keys], dim=1) if self.length else keys
    self.values = torch.cat([self.values[:, :, : self.length], values], dim=1) if self.length else values
    self.positions[:, self.length : self.length + keys.shape[2]] = positions
    self.length += keys.shape[2]
    return self.keys, self.values, self.positions[:, : self.length]


@misconception("cache.KVCache.append", pitfall=8, ask="How many tokens are copied to add one?")
def copied_for_every_token(self, keys, values, positions):
    """Everything is copied for every token."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys, self.values, self.positions = self.keys.clone(), self.values.clone(), self.positions.clone()
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys[:, :, :end], self.values[:, :, :end], self.positions[:, :end]


@misconception("cache.KVCache.append", ask="What does attention see behind the last token?")
def room_is_handed_out_too(self, keys, values, positions):
    """All the room is handed out, what is free included."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys, self.values, self.positions


@misconception("cache.KVCache.append", ask="Where was the last token written?")
def written_from_the_front(self, keys, values, positions):
    """New tokens are always written to the front, over those that are there."""
    end = fits_room(self, keys)
    new = slice(0, keys.shape[2])
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys[:, :, :end], self.values[:, :, :end], self.positions[:, :end]


@misconception("cache.KVCache.append", ask="Whom are the tokens for that attention looks at?")
def new_tokens_alone(self, keys, values, positions):
    """What is handed out are the new tokens, without those before them."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, positions
    self.length = end
    return self.keys[:, :, new], self.values[:, :, new], self.positions[:, new]


@misconception("cache.KVCache.append", ask="Are positions the numbers of slots?")
def slots_for_positions(self, keys, values, positions):
    """The number of the slot is kept as the position, so that padding counts as a token."""
    end = fits_room(self, keys)
    new = slice(self.length, end)
    self.keys[:, :, new], self.values[:, :, new], self.positions[:, new] = keys, values, torch.arange(self.length, end)
    self.length = end
    return self.keys[:, :, :end], self.values[:, :, :end], self.positions[:, :end]


def joined(cache, keys, values, positions):
    """What is in the cache, and the new tokens behind it."""
    return (
        torch.cat([cache.keys, keys], dim=2),
        torch.cat([cache.values, values], dim=2),
        torch.cat([cache.positions, positions], dim=1),
    )


@misconception("cache.RollingCache.append", pitfall=4, ask="What does the first token of the chunk still see?")
def chunk_is_written_first(self, keys, values, positions):
    """A chunk is written before it is read, so that its first tokens lose their oldest keys."""
    self._store(keys, values, positions.expand(len(keys), -1))
    return self.keys, self.values, self.positions


@misconception("cache.RollingCache.append", pitfall=4, ask="How often does a new token appear in what is handed out?")
def chunk_is_seen_twice(self, keys, values, positions):
    """The chunk is written and then put behind what is in the cache, so that its tokens are there twice."""
    positions = positions.expand(len(keys), -1)
    self._store(keys, values, positions)
    return (self.keys, self.values, self.positions) if keys.shape[2] == 1 else joined(self, keys, values, positions)


@misconception("cache.RollingCache.append", ask="What came before the chunk?")
def chunk_forgets_the_past(self, keys, values, positions):
    """A chunk is shown itself alone, and nothing of what was there before."""
    positions = positions.expand(len(keys), -1)
    self._store(keys, values, positions)
    return (self.keys, self.values, self.positions) if keys.shape[2] == 1 else (keys, values, positions)


def write(cache, keys, values, positions, stays, slots):
    """Write the tokens that stay into their slots, as the reference does."""
    row, token = stays.nonzero(as_tuple=True)
    slot = slots[row, token]
    cache.keys[row, :, slot] = keys[row, :, token]
    cache.values[row, :, slot] = values[row, :, token]
    cache.positions[row, slot] = positions[row, token]


def recent(cache, positions):
    """Tokens that no later one of the same call pushes out."""
    return (positions > positions[:, -1:] - cache.window) | (positions < cache.sinks)


@misconception("cache.RollingCache._store", pitfall=2, ask="Where does position sinks + window go?")
def sinks_are_evicted(self, keys, values, positions):
    """Slots are positions modulo all the room, so that the sinks are overwritten when the cache comes round."""
    room = self.sinks + self.window
    stays = (positions >= 0) & (positions > positions[:, -1:] - room)
    write(self, keys, values, positions, stays, positions % room)


@misconception("cache.RollingCache._store", pitfall=3, ask="Which position does sinks + window replace?")
def slots_start_at_the_wrong_position(self, keys, values, positions):
    """The slot in the window is the position modulo the window, without taking the sinks off first."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + positions % self.window)
    write(self, keys, values, positions, (positions >= 0) & recent(self, positions), slots)


@misconception("cache.RollingCache._store", pitfall=3, ask="How many positions does a window hold?")
def window_of_the_cache_is_one_short(self, keys, values, positions):
    """The window comes round one token too early, and the oldest key that should be seen is gone."""
    room = max(1, self.window - 1)
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % room)
    stays = (positions >= 0) & ((positions > positions[:, -1:] - room) | (positions < self.sinks))
    write(self, keys, values, positions, stays, slots)


@misconception("cache.RollingCache._store", pitfall=5, ask="Which of two tokens is in the slot afterwards?")
def first_of_a_chunk_wins(self, keys, values, positions):
    """Of two tokens of a chunk that share a slot the earlier one stays."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % self.window)
    for row in range(len(keys)):
        for token in reversed(range(positions.shape[1])):
            if positions[row, token] >= 0:
                slot = slots[row, token]
                self.keys[row, :, slot], self.values[row, :, slot] = keys[row, :, token], values[row, :, token]
                self.positions[row, slot] = positions[row, token]


@misconception("cache.RollingCache._store", pitfall=6, ask="How many slots should three columns of padding take?")
def padding_is_stored(self, keys, values, positions):
    """Slots are counted by columns and padding is stored like a token, so that it pushes out what counts."""
    columns = torch.arange(self.length, self.length + keys.shape[2])
    slots = torch.where(columns < self.sinks, columns, self.sinks + (columns - self.sinks) % self.window)
    self.length += keys.shape[2]
    stays = (columns > self.length - 1 - self.window) | (columns < self.sinks)
    write(self, keys, values, positions, stays.expand_as(positions), slots.expand_as(positions))


@misconception("cache.RollingCache._store", pitfall=7, ask="Do all rows write into the same slot?")
def rows_share_their_slots(self, keys, values, positions):
    """Every row writes into the slots of the first one."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % self.window)
    stays = (positions >= 0) & recent(self, positions)
    write(self, keys, values, positions, stays, slots[:1].expand_as(slots).clamp(min=0))


@misconception("cache.RollingCache._store", pitfall=6, ask="Which tokens of a long prompt are sinks?")
def sinks_are_left_out_of_a_chunk(self, keys, values, positions):
    """Of a chunk only the last window is stored, so that the sinks of a long prompt are lost."""
    slots = torch.where(positions < self.sinks, positions, self.sinks + (positions - self.sinks) % self.window)
    write(self, keys, values, positions, (positions >= 0) & (positions > positions[:, -1:] - self.window), slots)
