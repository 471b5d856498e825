"""These are wrong versions of parts of data.py, one mistake each. A docstring is the hint that a student reads."""

from pathlib import Path

import numpy as np
import torch

from tools.author.cases import misconception

from .data import IGNORE


@misconception("data.save_tokens", ask="What is the largest token of a vocabulary of 256?")
def smallest_type_is_off_by_one(path, tokens, vocab_size):
    """The size of the vocabulary is compared with the largest number of a type, though the largest token is one less."""
    outside = [token for token in tokens if not 0 <= token < vocab_size]
    if outside:
        raise ValueError("tokens outside the vocabulary")
    smallest = next(dtype for dtype in (np.uint8, np.uint16, np.uint32) if vocab_size <= np.iinfo(dtype).max)
    with Path(path).open("wb") as file:
        np.save(file, np.asarray(tokens, dtype=smallest))


@misconception("data.save_tokens", ask="Under which name does np.save write when it is given a name?")
def name_gets_an_ending(path, tokens, vocab_size):
    """The file gets the ending .npy whether that was asked for or not."""
    if any(not 0 <= token < vocab_size for token in tokens):
        raise ValueError("tokens outside the vocabulary")
    smallest = next(dtype for dtype in (np.uint8, np.uint16, np.uint32) if vocab_size - 1 <= np.iinfo(dtype).max)
    np.save(path, np.asarray(tokens, dtype=smallest))


@misconception("data.open_tokens", ask="How much of a file of 100 GB does np.load read?")
def whole_file_is_read(path):
    """The whole file is read into memory."""
    tokens = np.load(path)
    if tokens.ndim != 1 or tokens.dtype.kind != "u":
        raise ValueError("the file holds something else")
    return tokens


@misconception("data.open_tokens", ask="What happens to the file when a batch is changed in place?")
def file_can_be_written_to(path):
    """The file is opened for writing, so a slip of the pen changes the data."""
    tokens = np.load(path, mmap_mode="r+")
    if tokens.ndim != 1 or tokens.dtype.kind != "u":
        raise ValueError("the file holds something else")
    return tokens


def cut(data, starts, seq_len):
    """Windows of seq_len + 1 tokens from these starts."""
    return torch.from_numpy(np.stack([data[start : start + seq_len + 1] for start in starts]).astype(np.int64))


def check_batch(data, batch_size, seq_len):
    """The argument checks of random_batch, which every version keeps."""
    if batch_size < 1 or seq_len < 1 or len(data) < seq_len + 1:
        raise ValueError("no such batch")


@misconception("data.random_batch", pitfall=1, ask="Which token should follow inputs[b, : t + 1]?")
def targets_are_not_shifted(data, batch_size, seq_len, generator):
    """The targets are the inputs themselves, so the model learns to copy and not to predict."""
    check_batch(data, batch_size, seq_len)
    windows = cut(data, torch.randint(len(data) - seq_len, (batch_size,), generator=generator).tolist(), seq_len)
    return windows[:, :-1], windows[:, :-1]


@misconception("data.random_batch", pitfall=1, ask="Which token should follow inputs[b, : t + 1]?")
def targets_are_shifted_twice(data, batch_size, seq_len, generator):
    """The targets are two tokens ahead of the inputs, so the next token is never learnt."""
    check_batch(data, batch_size, seq_len)
    starts = torch.randint(max(1, len(data) - seq_len - 1), (batch_size,), generator=generator).tolist()
    windows = torch.from_numpy(
        np.stack([np.resize(data[start : start + seq_len + 2], seq_len + 2) for start in starts]).astype(np.int64)
    )
    return windows[:, :-2], windows[:, 2:]


@misconception("data.random_batch", pitfall=2, ask="Is the upper end of torch.randint one of its numbers?")
def last_start_is_left_out(data, batch_size, seq_len, generator):
    """The last start is never drawn, so the last token is never a target."""
    check_batch(data, batch_size, seq_len)
    return split(cut(data, torch.randint(max(1, len(data) - seq_len - 1), (batch_size,), generator=generator).tolist(), seq_len))


def split(windows):
    """Inputs and targets."""
    return windows[:, :-1], windows[:, 1:]


@misconception("data.random_batch", pitfall=2, ask="Where does the window end that starts at N − L?")
def last_start_is_one_too_far(data, batch_size, seq_len, generator):
    """The starts reach one too far: the last window has no last target."""
    check_batch(data, batch_size, seq_len)
    return split(cut(data, torch.randint(len(data) - seq_len + 1, (batch_size,), generator=generator).tolist(), seq_len))


@misconception("data.random_batch", ask="How many starts does a batch of 8 rows have?")
def rows_follow_each_other(data, batch_size, seq_len, generator):
    """One start is drawn for the whole batch, and its rows are neighbours."""
    check_batch(data, batch_size, seq_len)
    first = int(torch.randint(len(data) - seq_len, (1,), generator=generator))
    return split(cut(data, [(first + row) % (len(data) - seq_len) for row in range(batch_size)], seq_len))


@misconception("data.random_batch", ask="Where do the starts come from, if not from the generator?")
def generator_is_ignored(data, batch_size, seq_len, generator):
    """The starts come from PyTorch's global generator, so a resumed run draws other batches."""
    check_batch(data, batch_size, seq_len)
    return split(cut(data, torch.randint(len(data) - seq_len, (batch_size,)).tolist(), seq_len))


@misconception("data.random_batch", ask="How many tokens of the file does a batch need?")
def whole_file_becomes_a_tensor(data, batch_size, seq_len, generator):
    """The whole file becomes a tensor for each batch."""
    check_batch(data, batch_size, seq_len)
    tokens = torch.from_numpy(data.astype(np.int64))
    starts = torch.randint(len(tokens) - seq_len, (batch_size,), generator=generator)
    windows = tokens[starts[:, None] + torch.arange(seq_len + 1)]
    return windows[:, :-1], windows[:, 1:]


@misconception("data.batches_in_order", pitfall=3, ask="What becomes of the tokens behind the last full window?")
def rest_is_dropped(data, batch_size, seq_len):
    """Tokens behind the last full window are never targets."""
    check_order(data, batch_size, seq_len)
    starts = range(0, len(data) - seq_len, seq_len)
    for first in range(0, len(starts), batch_size):
        yield split(cut(data, starts[first : first + batch_size], seq_len))


def check_order(data, batch_size, seq_len):
    """The argument checks of batches_in_order."""
    if batch_size < 1 or seq_len < 1 or len(data) < 2:
        raise ValueError("no such batches")


@misconception("data.batches_in_order", pitfall=3, ask="Which token follows the last input of the first window?")
def windows_lose_a_token(data, batch_size, seq_len):
    """The next window begins behind the last target, so one token of each window is no input, and the next no target."""
    check_order(data, batch_size, seq_len)
    pairs = []
    for start in range(0, len(data) - 1, seq_len + 1):
        window = torch.from_numpy(np.asarray(data[start : start + seq_len + 1]).astype(np.int64))
        inputs, targets = torch.zeros(seq_len, dtype=torch.int64), torch.full((seq_len,), IGNORE)
        inputs[: len(window) - 1], targets[: len(window) - 1] = window[:-1], window[1:]
        pairs.append((inputs, targets))
    for first in range(0, len(pairs), batch_size):
        several = pairs[first : first + batch_size]
        yield torch.stack([inputs for inputs, _ in several]), torch.stack([targets for _, targets in several])


@misconception("data.batches_in_order", pitfall=4, ask="What does the loss do with a target of 0?")
def padding_is_a_target(data, batch_size, seq_len):
    """What pads the last window is a target like any other: token 0."""
    check_order(data, batch_size, seq_len)
    starts = range(0, len(data) - 1, seq_len)
    for first in range(0, len(starts), batch_size):
        several = starts[first : first + batch_size]
        inputs, targets = (torch.zeros(len(several), seq_len, dtype=torch.int64) for _ in range(2))
        for row, start in enumerate(several):
            window = torch.from_numpy(np.asarray(data[start : start + seq_len + 1]).astype(np.int64))
            inputs[row, : len(window) - 1], targets[row, : len(window) - 1] = window[:-1], window[1:]
        yield inputs, targets


@misconception("data.document_rows", ask="Which input predicts the first token of a document?")
def first_token_is_never_predicted(documents, bos_token):
    """The first token of a document is only an input: nothing learns how documents begin."""
    if not documents or not all(len(document) for document in documents):
        raise ValueError("needed: documents that are not empty")
    seq_len = max(len(document) for document in documents)
    inputs, targets = torch.full((len(documents), seq_len), bos_token), torch.full((len(documents), seq_len), IGNORE)
    for row, document in enumerate(documents):
        tokens = torch.as_tensor(document, dtype=torch.int64)
        inputs[row, : len(tokens)] = tokens
        targets[row, : len(tokens) - 1] = tokens[1:]
    return inputs, targets


@misconception("data.document_rows", pitfall=4, ask="Should the model learn to write padding?")
def padding_of_documents_is_a_target(documents, bos_token):
    """Short documents are padded with `bos_token` in the targets too, so padding is learnt."""
    if not documents or not all(len(document) for document in documents):
        raise ValueError("needed: documents that are not empty")
    seq_len = max(len(document) for document in documents)
    inputs, targets = (torch.full((len(documents), seq_len), bos_token) for _ in range(2))
    for row, document in enumerate(documents):
        tokens = torch.as_tensor(document, dtype=torch.int64)
        inputs[row, 1 : len(tokens)] = tokens[:-1]
        targets[row, : len(tokens)] = tokens
    return inputs, targets
