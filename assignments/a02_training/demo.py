"""Three models that you can watch learning: `python -m a02_training.demo level1|copilot|tales|all`.

level1 learns four-letter pairs by heart (seconds), copilot completes Python functions (half a minute), tales writes little stories
(two minutes, on one core). Each says what it had to beat. A number behind the name is another seed: `… demo tales 7`. The model
is `given`; everything that trains it and writes with it is yours.
"""

import math
import sys
import time
from dataclasses import dataclass

import torch
from given.a01_transformer.model import GPT, GPTConfig, width_scaled_std
from torch import nn

from a02_training.rules import Rules

BODY_END = "¶"  # one character for the two new lines that end a function, so that one token can stop the writing


@dataclass(frozen=True)
class Result:
    """What was reached: right of count, in CPU seconds of training.

    target: the fraction to reach.
    before: the figure to beat.
    within: CPU seconds that training may take.
    """

    name: str
    right: int
    count: int
    seconds: float
    target: float
    before: str
    within: float = math.inf

    @property
    def reached(self) -> bool:
        return self.right >= self.target * self.count and self.seconds <= self.within

    def __str__(self) -> str:
        target = f"target {self.target:.0%}" + (f" in {self.within:.0f} s" if self.within < math.inf else "")
        verdict = f"{target}: {'reached' if self.reached else 'not reached'}"
        right = f"{self.right:3d} of {self.count:3d} right"
        return f"{self.name:17} {right}, {self.seconds:5.1f} CPU s   {verdict:32}   to beat: {self.before}"


def gpt(vocab_size: int, n_positions: int, d_model: int, n_heads: int, n_layers: int, seed: int) -> GPT:
    torch.manual_seed(seed)
    return GPT(GPTConfig(vocab_size, n_positions, d_model, n_heads, n_layers, init_std=width_scaled_std(d_model)))


def learn(
    model: nn.Module,
    documents: list[list[int]],
    batch_size: int,
    bos_token: int,
    held_out: list[list[int]],
    seed: int,
    **settings,
) -> float:
    """Train on one document per row and say how it goes; returns CPU seconds."""
    from a02_training.data import document_rows, random_documents
    from a02_training.train import TrainConfig, train

    validation = [document_rows(held_out[i : i + 64], bos_token) for i in range(0, len(held_out), 64)]
    next_batch = lambda generator: random_documents(documents, batch_size, bos_token, generator)
    begin = time.process_time()
    history = train(model, next_batch, TrainConfig(**settings, progress=True), validation, torch.Generator().manual_seed(seed))
    seconds = time.process_time() - begin
    first, last = history[0], history[-1]
    print(f"{model.n_parameters():,} parameters, {last.step} steps: loss {first.loss:.3f} → {last.loss:.3f} nats per token")
    return seconds


def level1(seed: int) -> list[Result]:
    """Pairs of four letters, learned by heart: given the first four, write the other four."""
    return [
        memorise("level 1", "fourletters", seed, steps=200, target=1.0, before="3 of 12 after 200 steps, 4.6K parameters"),
        memorise("level 1, no rule", "fourletters48", seed, steps=1000, target=0.95, before="no figure known"),
    ]


def memorise(name: str, corpus: str, seed: int, steps: int, target: float, before: str) -> Result:
    import corpora

    from a02_training.sample import Sampling, generate
    from a02_training.tokenizer import CharTokenizer

    pairs = corpora.load(corpus).train
    tokenizer = CharTokenizer("abcdefghijklmnopqrstuvwxyz0123456789\n")
    [bos_token] = tokenizer.encode("\n")
    documents = [tokenizer.encode(pair) for pair in pairs]
    print(f"\n{name}: {len(pairs)} pairs", flush=True)
    model = gpt(tokenizer.vocab_size, n_positions=9, d_model=16, n_heads=2, n_layers=1, seed=seed)
    seconds = learn(
        model, documents, min(24, len(pairs)), bos_token, documents, seed, steps=steps, peak_lr=1e-2, weight_decay=0.01
    )
    answers = generate(model, [[bos_token, *document[:4]] for document in documents], 4, Sampling(temperature=0))
    written = [tokenizer.decode(answer) for answer in answers]
    for pair, answer in list(zip(pairs, written, strict=True))[:12]:
        print(f"  {pair[:4]} → {answer}  {'right' if answer == pair[4:8] else f'wrong, should be {pair[4:8]}'}")
    right = sum(answer == pair[4:8] for pair, answer in zip(pairs, written, strict=True))
    return Result(name, right, len(pairs), seconds, target, before)


def copilot(seed: int) -> list[Result]:
    """First lines of functions that were never trained on; right is the one right body, and nothing else."""
    import corpora

    from a02_training.sample import Sampling, generate
    from a02_training.tokenizer import CharTokenizer

    corpus = corpora.load("snippets")
    functions, unseen = (
        [text.replace(corpus.end, BODY_END) for text in texts] for texts in (corpus.train, corpus.held_out[:200])
    )
    tokenizer = CharTokenizer.of("".join(functions))
    [bos_token] = tokenizer.encode(BODY_END)
    print(f"\ncopilot: {len(functions)} functions to learn from, {len(unseen)} that it never sees", flush=True)
    model = gpt(tokenizer.vocab_size, n_positions=96, d_model=32, n_heads=4, n_layers=2, seed=seed)
    documents, held_out = ([tokenizer.encode(text) for text in texts] for texts in (functions, unseen))
    seconds = learn(model, documents, 32, bos_token, held_out, seed, steps=800, peak_lr=1e-2)
    heads, bodies = zip(*(text.removesuffix(BODY_END).split("\n", 1) for text in unseen), strict=True)
    prompts = [[bos_token, *tokenizer.encode(head + "\n")] for head in heads]
    answers = generate(model, prompts, corpus.longest, Sampling(temperature=0), stop_token=bos_token)
    written = [tokenizer.decode(answer) for answer in answers]
    wrong = [index for index, body in enumerate(bodies) if written[index] != body]
    for index in [*range(5), *[index for index in wrong if index >= 5][:3]]:
        print(f"\n{heads[index]}\n{written[index]}\n    # {'wrong; right would be:' if index in wrong else 'right'}")
        if index in wrong:
            print(bodies[index])
    shown = 5 - sum(index < 5 for index in wrong)
    return [
        Result("copilot, shown", shown, 5, seconds, 1.0, "1 of 5 after 180 s", within=60),
        Result("copilot, unseen", len(bodies) - len(wrong), len(bodies), seconds, 0.9, "no figure known", within=60),
    ]


def tales(seed: int) -> list[Result]:
    """200 samples at temperature 0.7; right is a tale of the language, and what is wrong with the others is said."""
    import corpora

    from a02_training.sample import Sampling, generate
    from a02_training.tokenizer import ByteTokenizer

    corpus = corpora.load("tales")
    tokenizer = ByteTokenizer()
    [bos_token] = tokenizer.encode("\n")
    documents, held_out = ([tokenizer.encode(text) for text in texts] for texts in (corpus.train, corpus.held_out[:256]))
    print(f"\ntales: {len(documents)} to learn from; the best loss there is: {corpus.floor:.3f} nats per character", flush=True)
    model = gpt(tokenizer.vocab_size, n_positions=145, d_model=96, n_heads=4, n_layers=2, seed=seed)
    seconds = learn(model, documents, 8, bos_token, held_out, seed, steps=3000, peak_lr=6e-3, evaluate_every=250)
    print("It writes 200 tales …", flush=True)
    generator = torch.Generator().manual_seed(seed)
    samples = generate(model, [[bos_token]] * 200, 144, Sampling(temperature=0.7), stop_token=bos_token, generator=generator)
    texts = [tokenizer.decode(sample) + "\n" for sample in samples]
    rules, known = Rules(corpus.train), set(corpus.train)
    faults = [rules.fault(text) for text in texts]
    right = [text for text, fault in zip(texts, faults, strict=True) if not fault]
    print(f"\nSome of the first ones (of those that keep all rules, {len(set(right) - known)} are not among the training texts):")
    print("".join(f"  {text}" for text in texts[:6]), end="")
    print("\nWhich rule the others break:" if any(faults) else "None of them breaks a rule.")
    for text, fault in [(text, fault) for text, fault in zip(texts, faults, strict=True) if fault][:8]:
        print(f"  {text.rstrip()}\n    {fault}")
    return [Result("tales", len(right), len(texts), seconds, 0.85, "0 of 100 where tales are longer than the context")]


DEMOS = {"level1": [level1], "copilot": [copilot], "tales": [tales], "all": [level1, copilot, tales]}


def main(arguments: list[str]) -> int:
    name, seed = (*arguments, "0", "")[:2]
    if len(arguments) not in (1, 2) or name not in DEMOS or not seed.isdecimal():
        print(f"usage: python -m a02_training.demo {'|'.join(DEMOS)} [seed]", file=sys.stderr)
        return 2
    torch.set_num_threads(1)  # on small models a second thread mostly waits
    begin = time.perf_counter()
    results = [result for demo in DEMOS[name] for result in demo(int(seed))]
    print()
    for result in results:
        print(result)
    print(f"{time.perf_counter() - begin:.0f} s in all")
    return 0 if all(result.reached for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NotImplementedError as missing:
        print(f"Not there yet. {missing}\nFinish that part (`make grade A=a02` checks it) and run the demo again.")
        sys.exit(1)
