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
    time = max(map(len, prompts))
    tokens, positions = torch.zeros(len(prompts), time, dtype=torch.int64), torch.full((len(prompts), time), -1)
    for row, prompt in enumerate(prompts):
        place = slice(time - len(prompt), time) if left else slice(0, len(prompt))
        tokens[row, place] = torch.tensor(list(prompt))
        positions[row, place] = torch.arange(len(prompt)) if counted else torch.arange(time)[place]
    return tokens, positions


@misconception("generate.pad_left", ask="In which column does each row write next?")
def padded_on_the_right(prompts):
    """Padding stands on the right, so that prompts do not end in the same column."""
    return padded(prompts, left=False)


@misconception("generate.pad_left", pitfall=1, ask="Does a row's answer depend on how long the other prompts are?")
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
    """A single prompt comes back without its axis of rows."""
    tokens, positions = padded(prompts)
    return (tokens[0], positions[0]) if len(prompts) == 1 else (tokens, positions)


def chunk_size(chunk, tokens):
    """The argument check of prefill; columns to read at a time."""
    if chunk is not None and chunk < 1:
        raise ValueError("a chunk has a token")
    return chunk or tokens.shape[1]


@misconception("generate.prefill", ask="At which positions do the tokens of the second chunk stand?")
def every_chunk_at_the_start(model, tokens, positions, caches, chunk=None):
    """Every chunk gets the positions of the first one."""
    size = chunk_size(chunk, tokens)
    for piece in tokens.split(size, 1):
        logits = model(piece, positions[:, : piece.shape[1]], caches)
    return logits[:, -1]


@misconception("generate.prefill", ask="How many columns are left when 7 are read by 3?")
def last_chunk_is_dropped(model, tokens, positions, caches, chunk=None):
    """A last chunk that is short is left out."""
    size = min(chunk_size(chunk, tokens), tokens.shape[1])
    for start in range(0, tokens.shape[1] - size + 1, size):
        logits = model(tokens[:, start : start + size], positions[:, start : start + size], caches)
    return logits[:, -1]


@misconception("generate.prefill", ask="Which column does the next token follow?")
def logits_of_the_first_column(model, tokens, positions, caches, chunk=None):
    """The logits are those behind the first column of the last chunk."""
    size = chunk_size(chunk, tokens)
    for piece, places in zip(tokens.split(size, 1), positions.split(size, 1), strict=True):
        logits = model(piece, places, caches)
    return logits[:, 0]


@misconception("generate.prefill", ask="How many scores does a head have at once?")
def chunk_is_not_used(model, tokens, positions, caches, chunk=None):
    """The prompt is read at once, whatever the chunk."""
    chunk_size(chunk, tokens)
    return model(tokens, positions, caches)[:, -1]


def writing_on(
    model, prompts, count, sampling, stop, chunk, rolling, generator,
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
    answers, writing = [[] for _ in prompts], list(range(len(prompts)))
    model.train(training)
    with torch.set_grad_enabled(gradients):
        caches = model.new_caches(len(prompts), None if rolling else width + count + 1)
        for step in range(count):
            logits = prefill(model, tokens, positions, caches, chunk if step == 0 else None)
            rows = drawn_rows or writing
            chances = next_token_probabilities(logits[rows], sampling, present[rows])
            drawn = chances.multinomial(1, generator=generator)
            tokens, positions = torch.zeros(len(prompts), 1, dtype=torch.int64), next_positions(positions, step, width)
            tokens[rows] = drawn
            for row in list(writing):
                token = int(tokens[row])
                if token == stop:
                    writing.remove(row)
                if keep(token, stop):
                    answers[row].append(token)
                    present[row, token] = True
            if not writing:
                break
        if last and count:
            prefill(model, tokens, positions, caches)
    model.train(mode)
    return answers


@misconception("generate.generate", pitfall=2, ask="At which position does the first new token stand?")
def every_step_at_position_zero(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """New tokens are counted from 0 and not from the end of their prompt."""
    count_on = lambda positions, step, width: torch.full_like(positions[:, -1:], step)
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, count_on)


@misconception("generate.generate", pitfall=1, ask="Where does the next token of a short prompt stand?")
def next_positions_by_column(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The next position is the number of columns, the same in every row, so that short prompts skip some."""
    count_on = lambda positions, step, width: torch.full_like(positions[:, -1:], width + step)
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, count_on)


@misconception("generate.generate", pitfall=3, ask="Which token has the model not read yet, when the prompt is read?")
def last_token_is_fed_twice(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The last token of the prompt is read with the prompt, and once more as the first step."""
    longer = [[*prompt, prompt[-1]] for prompt in prompts]
    no_empty_prompt(prompts)
    with evaluating(model):
        return writing_on(model, longer, max_new_tokens, sampling, stop_token, chunk, rolling, generator)


@misconception("generate.generate", pitfall=4, ask="What are the logits behind the last token for?")
def one_pass_too_many(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The last token is read too, though nothing is written after it."""
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, last=True)


@misconception("generate.generate", pitfall=5, ask="Is the stop token a part of the answer?")
def stop_token_in_the_answer(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The stop token stands at the end of the answer."""
    with evaluating(model):
        return writing_on(
            model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, keep=lambda token, stop: True
        )


@misconception("generate.generate", pitfall=6, ask="How many numbers are drawn for three rows, when one is done?")
def rows_that_are_done_draw_on(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """Rows that are done still draw, so that the others draw something else than without a cache."""
    everyone = list(range(len(prompts)))
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, drawn_rows=everyone)


@misconception("generate.generate", pitfall=6, ask="Whose chance is it, if a generator is passed in?")
def generator_is_not_used(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """Tokens are drawn with PyTorch's own chance."""
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, None)


@misconception("generate.generate", ask="Which tokens does the penalty fall on?")
def prompt_does_not_count_as_text(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The repetition penalty falls on new tokens alone, and not on those of the prompt."""
    with evaluating(model):
        return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, seen_prompt=False)


@misconception("generate.generate", pitfall=7, ask="What is model.training while a text is written?")
def writes_in_training_mode(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The model writes in training mode, as it was."""
    return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator, training=model.training)


@misconception("generate.generate", pitfall=7, ask="What is model.training afterwards?")
def left_in_evaluation_mode(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The model is left in evaluation mode."""
    model.eval()
    return writing_on(model, prompts, max_new_tokens, sampling, stop_token, chunk, rolling, generator)


@misconception("generate.generate", ask="What is in the cache when the second token is written?")
def nothing_is_cached(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The whole text is read again for every token, with caches that are thrown away."""
    no_empty_prompt(prompts)
    answers, writing = [[] for _ in prompts], list(range(len(prompts)))
    with evaluating(model), torch.no_grad():
        for _ in range(max_new_tokens):
            texts = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
            tokens, positions = pad_left(texts)
            caches = model.new_caches(len(prompts), None if rolling else tokens.shape[1])
            logits = prefill(model, tokens, positions, caches, chunk)
            present = torch.zeros(len(prompts), logits.shape[1], dtype=torch.bool)
            for row, text in enumerate(texts):
                present[row, text] = True
            drawn = next_token_probabilities(logits[writing], sampling, present[writing]).multinomial(1, generator=generator)
            for row, token in zip(list(writing), drawn.flatten().tolist(), strict=True):
                writing.remove(row) if token == stop_token else answers[row].append(token)
            if not writing:
                break
    return answers
