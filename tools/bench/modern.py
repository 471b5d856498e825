"""Speed of the references of a01 and a03, as ratios to work that the same run does in another way.

Times are CPU times of this process on one thread, so that neighbours on the machine matter less. Figures are medians.
`stack` trains, and compares numbers of steps.
"""

import statistics
import time

import torch

from autograder.errors import GraderFault
from tools.bench.timing import REPEATS, course_module, in_turns, matmuls_of_a_step, print_figure, ratios

PROMPT, NEW = 128, 100  # tokens
SEEDS, STEPS, EVERY = 5, 400, 10  # of the race; held-out loss is measured every EVERY steps
STEPS_AT_ONCE = 15  # of training, so that one measurement is long enough
STREAM_EARLY, STREAM_LATE = 1_000, 100_000  # tokens


def cache() -> None:
    """Generating 100 tokens after 128 with the reference's cache, with six blocks of d_model 384.

    It is compared with reading everything again for each token, and with passes of single tokens. GraderFault: the cache
    changes the tokens.
    """
    generate, sample = course_module("a03_modern.generate"), course_module("given.a02_training.sample")
    reference, given = course_module("a03_modern.model"), course_module("given.a03_modern.model")
    torch.manual_seed(0)
    model, baseline = (module.Transformer(module.ModelConfig(65, 256, 384, 6, 6)).eval() for module in (reference, given))
    baseline.load_state_dict(model.state_dict())
    greedy = sample.Sampling(temperature=0)
    prompt, token, positions = torch.randint(65, (1, PROMPT)), torch.zeros(1, 1, dtype=torch.int64), torch.arange(PROMPT)[None]
    generated: dict[str, list] = {}

    def with_cache() -> None:
        generated["cached"] = generate.generate(model, prompt.tolist(), NEW, greedy)

    def without() -> None:
        generated["again"] = sample.generate(baseline, prompt.tolist(), NEW, greedy, context=PROMPT + NEW)

    def prefill() -> None:
        generate.prefill(model, prompt, positions, model.new_caches(1, PROMPT))

    with torch.no_grad():
        single = lambda: [model(token) for _ in range(NEW)]
        rounds = in_turns({"cached": with_cache, "again": without, "single": single})
        passes = in_turns({"prefill": prefill, "forward": lambda: model(prompt)}, 5 * REPEATS)
    if generated["cached"] != generated["again"]:
        raise GraderFault("with a cache the reference of a03 generates other tokens than without")
    title = f"{NEW} tokens after {PROMPT}, everything read again by `given` over cached"
    print_figure(title, ratios(rounds, "again", "cached"), "x", at_least=7)
    title = f"  cached over {NEW} passes of one token without a past"
    print_figure(title, ratios(rounds, "cached", "single"), "x", at_most=1.5)
    title = "  prefill over one forward pass of as many tokens"
    print_figure(title, ratios(passes, "prefill", "forward"), "x", at_most=1.2)


def stream() -> None:
    """One sequence through a window of 256 and 4 sinks: memory and time of a token early and late in it."""
    import psutil

    module, process = course_module("a03_modern.model"), psutil.Process()
    torch.manual_seed(0)
    model = module.Transformer(module.ModelConfig(65, 256, 64, 4, 1, window=256, sinks=4)).eval()
    caches, token, start = model.new_caches(1), torch.zeros(1, 1, dtype=torch.int64), 0

    def read(upto: int) -> float:
        """Read tokens up to a position. Returns milliseconds of CPU time for each."""
        nonlocal start
        started, first = time.process_time(), start
        for position in range(start, upto):
            token.fill_(int(model(token, torch.tensor([[position]]), caches)[0, -1].argmax()))
        start = upto
        return 1000 * (time.process_time() - started) / (upto - first)

    with torch.no_grad():
        read(STREAM_EARLY)
        early_size, early_bytes = process.memory_info().rss, sum(cache.n_bytes for cache in caches)
        early = [read(start + 1_000) for _ in range(REPEATS)]
        read(STREAM_LATE - REPEATS * 1_000)
        late = [read(start + 1_000) for _ in range(REPEATS)]
    growth = process.memory_info().rss / early_size
    print_figure(
        f"rolling cache: resident memory after {STREAM_LATE:,} tokens over after {STREAM_EARLY:,}", [growth], "x", at_most=1.05
    )
    growth = sum(cache.n_bytes for cache in caches) / early_bytes
    print_figure("  bytes of its tensors, likewise", [growth], "x", at_most=1.05)
    slowdown = statistics.median(late) / statistics.median(early)
    print_figure(f"  time of a token up to {STREAM_LATE:,} over from {STREAM_EARLY:,}", [slowdown], "x", at_most=1.25)


def step() -> None:
    """A training step (forward, loss, backward, AdamW) over its matmuls: four blocks of d_model 128, 12 sequences of 64."""
    old, new = course_module("a01_transformer.model"), course_module("a03_modern.model")
    fields = (65, 64, 128, 4, 4)
    torch.manual_seed(0)
    tokens = torch.randint(65, (12, 65))
    _time_step("a01", old.GPT(old.GPTConfig(*fields)), tokens, [(128, 512), (512, 128)])
    _time_step("a03", new.Transformer(new.ModelConfig(*fields)), tokens, [(128, 344), (128, 344), (344, 128)])


def _time_step(name: str, model: torch.nn.Module, tokens: torch.Tensor, feed_forward: list[tuple[int, int]]) -> None:
    optim = course_module("given.a02_training.optim")
    optimizer = optim.AdamW(optim.parameter_groups(model, 0.1), lr=1e-3)
    matmuls = matmuls_of_a_step(feed_forward)

    def train() -> None:
        for _ in range(STEPS_AT_ONCE):
            optimizer.zero_grad()
            logits = model(tokens[:, :-1])
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
            optimizer.step()

    rounds = in_turns({"step": train, "matmuls": lambda: [matmuls() for _ in range(STEPS_AT_ONCE)]})
    print_figure(f"training step of {name} over its matmuls alone", ratios(rounds, "step", "matmuls"), "x", at_most=1.9)


def stack() -> None:
    """The modern stack against the baseline of a03's ablation, seed by seed: share of its steps to the loss that it ends with."""
    ablation, demo, train = (
        course_module(name) for name in ("a03_modern.ablation", "a03_modern.demo", "given.a02_training.train")
    )
    next_batch, validation = demo.task()
    rows = ablation.ablation_rows(demo.small_config(bias=True))
    runs = ablation.run_ablation(
        {name: rows[name] for name in ("baseline", "all")},
        range(SEEDS),
        next_batch,
        validation,
        train.TrainConfig(STEPS, evaluate_every=EVERY),
    )
    modern = next(summary for summary in ablation.summarise(runs) if summary.row == "all")
    shares = [float("inf") if share is None else share for share in modern.share_of_steps]
    print_figure(f"modern stack: share of the baseline's steps, median of {SEEDS} seeds", shares, "x")
    print_figure("  the worst of them", [max(shares)], "x", at_most=0.7)
