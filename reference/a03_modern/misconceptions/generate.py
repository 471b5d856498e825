"""These are wrong versions of parts of generate.py, one mistake each. A docstring is the hint that a student reads."""

import torch
from given.a02_training.sample import next_token_probabilities
from given.a02_training.train import evaluating

from tools.author.cases import misconception

from .generate import AS_IT_IS, pad_left, prefill


def no_empty_prompt(prompts):
    """The argument check of pad_left."""
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise ValueError("every prompt needs a token")


def padded(prompts, left=True, counted=True):
    """Prompts side by side, with positions of their own or by column."""
    no_empty_prompt(prompts)
    seq_len = max(map(len, prompts))
    tokens, positions = torch.zeros(len(prompts), seq_len, dtype=torch.int64), torch.full((len(prompts), seq_len), -1)
    for row, prompt in enumerate(prompts):
        columns = slice(seq_len - len(prompt), seq_len) if left else slice(0, len(prompt))
        tokens[row, columns] = torch.tensor(list(prompt))
        positions[row, columns] = torch.arange(len(prompt)) if counted else torch.arange(seq_len)[columns]
    return tokens, positions


@misconception("generate.pad_left", ask="In which column does each sequence continue?")
def padded_on_the_right(prompts):
    """Padding stands on the right, so that prompts do not end in the same column."""
    return padded(prompts, left=False)


@misconception("generate.pad_left", pitfall=1, ask="Does the answer to a prompt depend on how long the other prompts are?")
def positions_by_column(prompts):
    """Positions are columns, so that a short prompt does not begin at 0."""
    return padded(prompts, counted=False)


@misconception("generate.pad_left", pitfall=1, ask="How can attention tell padding from a token?")
def padding_has_a_position(prompts):
    """Padding has position 0 like a first token, and is seen."""
    tokens, positions = padded(prompts)
    return tokens, positions.clamp(min=0)


@misconception("generate.pad_left", ask="What kind of number can be looked up in a table?")
def tokens_of_floats(prompts):
    """Tokens are floating-point numbers, which is what torch.zeros makes."""
    tokens, positions = padded(prompts)
    return tokens.to(torch.get_default_dtype()), positions


@misconception("generate.pad_left", ask="How many rows has a batch of one prompt?")
def single_prompt_without_rows(prompts):
    """A single prompt comes back without its batch axis."""
    tokens, positions = padded(prompts)
    return (tokens[0], positions[0]) if len(prompts) == 1 else (tokens, positions)


def checked_chunk_size(chunk_size, tokens):
    """The argument check of prefill; columns to read at a time."""
    if chunk_size is not None and chunk_size < 1:
        raise ValueError("a chunk has a token")
    return chunk_size or tokens.shape[1]


@misconception("generate.prefill", ask="At which positions do the tokens of the second chunk stand?")
def every_chunk_at_the_start(model, tokens, positions, caches, chunk_size=None):
    """Every chunk gets the positions of the first one."""
    size = checked_chunk_size(chunk_size, tokens)
    for chunk_tokens in tokens.split(size, 1):
        logits = model(chunk_tokens, positions[:, : chunk_tokens.shape[1]], caches)
    return logits[:, -1]


@misconception("generate.prefill", ask="How many columns are left when 7 are read by 3?")
def last_chunk_is_dropped(model, tokens, positions, caches, chunk_size=None):
    """A last chunk that is short is left out."""
    size = min(checked_chunk_size(chunk_size, tokens), tokens.shape[1])
    for start in range(0, tokens.shape[1] - size + 1, size):
        logits = model(tokens[:, start : start + size], positions[:, start : start + size], caches)
    return logits[:, -1]


@misconception("generate.prefill", ask="Which column does the next token follow?")
def logits_of_the_first_column(model, tokens, positions, caches, chunk_size=None):
    """The logits are those behind the first column of the last chunk."""
    size = checked_chunk_size(chunk_size, tokens)
    for chunk_tokens, chunk_positions in zip(tokens.split(size, 1), positions.split(size, 1), strict=True):
        logits = model(chunk_tokens, chunk_positions, caches)
    return logits[:, 0]


@misconception("generate.prefill", ask="How many scores does a head have at once?")
def chunk_is_not_used(model, tokens, positions, caches, chunk_size=None):
    """The prompt is read at once, whatever the chunk."""
    checked_chunk_size(chunk_size, tokens)
    return model(tokens, positions, caches)[:, -1]


def decode(
    model, prompts, count, sampling, stop, chunk_size, rolling, generator,
    next_positions=lambda positions, step, width: positions[:, -1:] + 1,
    keep=lambda token, stop: token != stop,
    drawn_rows=None, last=False, training=False, gradients=False, seen_prompt=True,
):  # fmt: skip
    """The loop of the reference, with one thing changed."""
    tokens, positions = pad_left(prompts)
    width, mode = tokens.shape[1], model.training
    present = torch.zeros(len(prompts), model.config.vocab_size, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        present[row, list(prompt)] = seen_prompt
    answers, active = [[] for _ in prompts], list(range(len(prompts)))
    model.train(training)
    with torch.set_grad_enabled(gradients):
        caches = model.new_caches(len(prompts), None if rolling else width + count + 1)
        for step in range(count):
            logits = prefill(model, tokens, positions, caches, chunk_size if step == 0 else None)
            rows = drawn_rows or active
            probs = next_token_probabilities(logits[rows], sampling, present[rows])
            drawn = probs.multinomial(1, generator=generator)
            tokens, positions = torch.zeros(len(prompts), 1, dtype=torch.int64), next_positions(positions, step, width)
            tokens[rows] = drawn
            for row in list(active):
                token = int(tokens[row])
                if token == stop:
                    active.remove(row)
                if keep(token, stop):
                    answers[row].append(token)
                    present[row, token] = True
            if not active:
                break
        if last and count:
            prefill(model, tokens, positions, caches)
    model.train(mode)
    return answers


@misconception("generate.generate", pitfall=2, ask="At which position does the first new token stand?")
def every_step_at_position_zero(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """New tokens are counted from 0 and not from the end of their prompt."""
    count_on = lambda positions, step, width: torch.full_like(positions[:, -1:], step)
    with evaluating(model):
        return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator, count_on)


@misconception("generate.generate", pitfall=1, ask="Where does the next token of a short prompt stand?")
def next_positions_by_column(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The next position is the number of columns, the same in every row, so that short prompts skip some."""
    count_on = lambda positions, step, width: torch.full_like(positions[:, -1:], width + step)
    with evaluating(model):
        return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator, count_on)


@misconception("generate.generate", pitfall=3, ask="Which token has the model not read yet, when the prompt is read?")
def last_token_is_fed_twice(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The last token of the prompt is read with the prompt, and once more as the first step."""
    longer = [[*prompt, prompt[-1]] for prompt in prompts]
    no_empty_prompt(prompts)
    with evaluating(model):
        return decode(model, longer, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator)


@misconception("generate.generate", pitfall=4, ask="What are the logits behind the last token for?")
def one_pass_too_many(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The last token is read too, though nothing is written after it."""
    with evaluating(model):
        return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator, last=True)


@misconception("generate.generate", pitfall=5, ask="Is the stop token a part of the answer?")
def stop_token_in_the_answer(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The stop token stands at the end of the answer."""
    with evaluating(model):
        return decode(
            model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator, keep=lambda token, stop: True
        )


@misconception("generate.generate", pitfall=6, ask="How many numbers are drawn for three sequences, when one is done?")
def rows_that_are_done_draw_on(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """Sequences that are done still draw, so that the others draw something else than without a cache."""
    everyone = list(range(len(prompts)))
    with evaluating(model):
        return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator, drawn_rows=everyone)


@misconception("generate.generate", pitfall=6, ask="Whose random state is it, if a generator is passed in?")
def generator_is_not_used(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """Tokens are drawn with PyTorch's own generator."""
    with evaluating(model):
        return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, None)


@misconception("generate.generate", ask="Which tokens does the penalty fall on?")
def prompt_does_not_count_as_text(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The repetition penalty falls on new tokens alone, and not on those of the prompt."""
    with evaluating(model):
        return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator, seen_prompt=False)


@misconception("generate.generate", pitfall=7, ask="What is model.training while a sequence is generated?")
def writes_in_training_mode(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The model writes in training mode, as it was."""
    return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator, training=model.training)


@misconception("generate.generate", pitfall=7, ask="What is model.training afterwards?")
def left_in_evaluation_mode(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The model is left in evaluation mode."""
    model.eval()
    return decode(model, prompts, max_new_tokens, sampling, stop_token, chunk_size, rolling, generator)


@misconception("generate.generate", ask="What is in the cache when the second token is written?")
def nothing_is_cached(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The whole sequence is read again for every token, with caches that are thrown away."""
    no_empty_prompt(prompts)
    answers, active = [[] for _ in prompts], list(range(len(prompts)))
    with evaluating(model), torch.no_grad():
        for _ in range(max_new_tokens):
            sequences = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
            tokens, positions = pad_left(sequences)
            caches = model.new_caches(len(prompts), None if rolling else tokens.shape[1])
            logits = prefill(model, tokens, positions, caches, chunk_size)
            present = torch.zeros(len(prompts), logits.shape[1], dtype=torch.bool)
            for row, sequence in enumerate(sequences):
                present[row, sequence] = True
            drawn = next_token_probabilities(logits[active], sampling, present[active]).multinomial(1, generator=generator)
            for row, token in zip(list(active), drawn.flatten().tolist(), strict=True):
                active.remove(row) if token == stop_token else answers[row].append(token)
            if not active:
                break
    return answers
