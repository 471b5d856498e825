"""The reference against code that others wrote: PyTorch's loss, AdamW and clipping, Hugging Face's schedule, logit warpers and
`generate`, NumPy's windows, Python's decoder; and `given` alike.

Everything runs in float64, where two right computations agree to about 1e-15 and a wrong one cannot hide in rounding.
"""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytestmark = pytest.mark.usefixtures("float64")
MODULES = ("tokenizer", "data", "loss", "optim", "schedule", "train", "sample")
IGNORE = -100


@pytest.fixture(scope="module")
def reference(load):
    return load("reference", "a02_training", MODULES, gpt="given.a01_transformer.model")


@pytest.fixture(scope="module")
def given(load):
    return load("assignments", "given.a02_training", MODULES, gpt="given.a01_transformer.model")


@pytest.fixture(params=["reference", "given"])
def solution(request):
    return request.getfixturevalue(request.param)


def assert_same(ours, theirs, tolerance=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def small_gpt(solution, **rest) -> nn.Module:
    """A model of a01 that fits into a test."""
    return solution.gpt.GPT(
        solution.gpt.GPTConfig(**{"vocab_size": 11, "n_positions": 8, "d_model": 8, "n_heads": 2, "n_layers": 1} | rest)
    )


def windows(generator: torch.Generator):
    """Random batches that need no file."""
    drawn = torch.randint(0, 11, (3, 7), generator=generator)
    return drawn.narrow(1, 0, 6), drawn.narrow(1, 1, 6)


def test_bytes_are_pythons_utf8(solution):
    tokenizer = solution.tokenizer.ByteTokenizer(["<|end|>"])
    text = "Zoë läuft 🙂\x00<|end|>"
    assert tokenizer.encode(text) == list(text.encode())
    stream = np.random.RandomState(0)
    for _ in range(200):  # mostly broken UTF-8
        raw = bytes(stream.randint(0, 256, 12).tolist())
        assert tokenizer.decode(raw) == raw.decode(errors="replace")
    assert tokenizer.decode(tokenizer.encode(text, allow_special=True)) == text
    assert tokenizer.encode("a<|end|>", allow_special=True) == [97, 256]


def test_characters_are_their_positions(solution):
    tokenizer = solution.tokenizer.CharTokenizer.of("hello [world]")
    assert tokenizer.alphabet == "".join(sorted(set("hello [world]")))
    assert tokenizer.encode("hold") == [tokenizer.alphabet.index(c) for c in "hold"]
    assert tokenizer.decode(tokenizer.encode("low [red]")) == "low [red]"
    with pytest.raises(ValueError, match="at position 2"):
        tokenizer.encode("hex")


def test_files_of_tokens_are_numpys(solution, tmp_path):
    for size, dtype in ((256, np.uint8), (65_536, np.uint16), (100_000, np.uint32)):
        solution.data.save_tokens(tmp_path / "x", [0, size - 1], size)
        tokens = solution.data.open_tokens(tmp_path / "x")
        assert tokens.dtype == dtype
        assert tokens.tolist() == [0, size - 1]
        with pytest.raises(ValueError, match="read-only"):
            tokens[0] = 1


def test_batches_are_windows_of_the_data(solution):
    data = np.random.RandomState(1).permutation(300).astype(np.uint16)
    every = {tuple(window) for window in np.lib.stride_tricks.sliding_window_view(data, 6).tolist()}
    inputs, targets = solution.data.random_batch(data, 3000, 5, torch.Generator().manual_seed(0))
    whole = torch.cat([inputs, targets[:, -1:]], dim=1)
    assert torch.equal(whole[:, 1:], targets)
    assert {tuple(row) for row in whole.tolist()} <= every
    # Each of 295 windows is missed with (294/295)^3000 = 4e-5, so the first and the last are missed once in 13,000 seeds.
    assert {tuple(data[:6].tolist()), tuple(data[-6:].tolist())} <= {tuple(row) for row in whole.tolist()}
    for length in (2, 6, 7, 8, 300):
        parts = list(solution.data.batches_in_order(data[:length], 4, 3))
        seen = torch.cat([x.flatten() for x, _ in parts]), torch.cat([y.flatten() for _, y in parts])
        real = seen[1] != IGNORE
        assert seen[0][real].tolist() == data[: length - 1].tolist()
        assert seen[1][real].tolist() == data[1:length].tolist()
    inputs, targets = solution.data.document_rows([[1, 2, 3], [4]], 9)
    assert inputs.tolist() == [[9, 1, 2], [9, 9, 9]]
    assert targets.tolist() == [[1, 2, 3], [4, IGNORE, IGNORE]]


def test_loss_is_torchs(solution):
    for leading in ((7,), (2, 5), (3, 1, 4)):
        logits = (5 * torch.randn(*leading, 9)).requires_grad_()
        targets = torch.randint(9, leading).masked_fill(torch.rand(leading) < 0.3, IGNORE)
        targets.view(-1)[0] = 3
        expected = F.cross_entropy(logits.flatten(0, -2), targets.flatten())
        loss = solution.loss.next_token_loss(logits, targets)
        assert_same(loss, expected)
        assert_same(torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits))
    half = 50 * torch.randn(4, 9).half()
    tokens = torch.randint(9, (4,))
    assert_same(solution.loss.next_token_loss(half, tokens), F.cross_entropy(half.float(), tokens), 1e-6)


def test_other_names_of_a_loss(solution):
    assert math.isclose(solution.loss.perplexity(2.0), math.exp(2.0), rel_tol=1e-15)
    assert solution.loss.perplexity(1000.0) == math.inf
    # 3 tokens of 8 equally likely ones are 9 bits, whatever the number of bytes.
    assert math.isclose(solution.loss.bits_per_byte(math.log(8), 3, 4), 9 / 4, rel_tol=1e-15)


def test_adamw_is_torchs(solution):
    for settings in ({}, {"lr": 0.3, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.7}):
        ours = [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(5))]
        theirs = [nn.Parameter(p.detach().clone()) for p in ours]
        groups = lambda chosen: [{"params": chosen[:1]}, {"params": chosen[1:], "weight_decay": 0.0, "lr": 0.01}]
        pair = solution.optim.AdamW(groups(ours), **settings), torch.optim.AdamW(groups(theirs), **settings)
        for step in range(20):
            gradients = [torch.randn_like(p) * 10.0 ** (step % 7 - 3) for p in ours]
            for chosen, optimizer in zip((ours, theirs), pair, strict=True):
                for parameter, gradient in zip(chosen, gradients, strict=True):
                    parameter.grad = None if step % 4 == 1 and parameter.ndim == 1 else gradient.clone()
                optimizer.step()
        assert_same(ours, theirs)
        for mine, other in zip(ours, theirs, strict=True):
            states = pair[0].state[mine], pair[1].state[other]
            assert_same(states[0]["exp_avg"], states[1]["exp_avg"])
            assert_same(states[0]["exp_avg_sq"], states[1]["exp_avg_sq"])
            assert int(states[0]["step"]) == int(states[1]["step"])


def test_clipping_is_torchs(solution):
    for limit in (0.5, 1e3):
        ours = [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(())), nn.Parameter(torch.randn(2))]
        theirs = [nn.Parameter(p.detach().clone()) for p in ours]
        for mine, other in zip(ours[:2], theirs, strict=False):
            mine.grad, other.grad = mine.detach() * 3, other.detach() * 3
        norm = solution.optim.clip_gradients(ours, limit)
        assert_same(norm, nn.utils.clip_grad_norm_(theirs, limit))
        assert_same([p.grad for p in ours[:2]], [p.grad for p in theirs[:2]], 1e-5)  # torch's factor has 1e-6 in its denominator
        assert ours[2].grad is None


def test_groups_hold_each_trained_parameter_once(solution):
    model = small_gpt(solution)
    model.blocks[0].attention.qkv.weight.requires_grad_(False)
    groups = solution.optim.parameter_groups(model, 0.3)
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    ids = [[id(p) for p in group["params"]] for group in groups]
    assert ids == [[id(p) for p in model.parameters() if p.requires_grad and (p.ndim > 1) == first] for first in (True, False)]


def test_schedule_is_hugging_faces(solution):
    optimization = pytest.importorskip("transformers.optimization")
    for steps, warmup, share in ((100, 10, 0.1), (37, 5, 0.0), (50, 0, 0.5)):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
        theirs = optimization.get_cosine_with_min_lr_schedule_with_warmup(optimizer, warmup, steps, min_lr_rate=share).lr_lambdas[
            0
        ]
        for step in range(1, steps + 1):
            ours = solution.schedule.learning_rate(step, steps, 0.3, warmup, share)
            assert math.isclose(ours, 0.3 * theirs(step), rel_tol=1e-12, abs_tol=1e-15)


def plain_loop(model, batches, rates, clip, decay, betas):
    """Training as PyTorch's documentation has it: its loss, its clipping, its AdamW."""
    vectors, matrices = ([p for p in model.parameters() if (p.ndim < 2) == wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, taken = torch.optim.AdamW(groups, lr=1.0, betas=betas), []
    for (inputs, targets), rate in zip(batches, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        taken.append((loss.item(), norm.item()))
    return taken


def test_training_is_a_plain_loop_of_torch(solution, tmp_path):
    ours, theirs = small_gpt(solution), small_gpt(solution)
    theirs.load_state_dict(ours.state_dict())
    generator = torch.Generator().manual_seed(3)
    several = [windows(generator) for _ in range(12)]
    held_out = [windows(generator), windows(generator)]
    config = solution.train.TrainConfig(
        steps=12, peak_lr=0.02, warmup=3, clip=0.7, evaluate_every=5, metrics=tmp_path / "m.jsonl"
    )
    pending = list(several)
    history = solution.train.train(ours, lambda _: pending.pop(0), config, held_out)
    rates = [solution.schedule.learning_rate(step, 12, 0.02, 3) for step in range(1, 13)]
    taken = plain_loop(theirs, several, rates, 0.7, config.weight_decay, config.betas)
    assert_same([(r.loss, r.gradient_norm) for r in history], taken, 1e-5)  # torch's clipping, as above
    assert_same(list(ours.parameters()), list(theirs.parameters()), 1e-5)
    assert [record.lr for record in history] == rates
    assert [record.step for record in history if record.validation is not None] == [5, 10, 12]
    assert [json.loads(line)["step"] for line in (tmp_path / "m.jsonl").read_text().splitlines()] == list(range(1, 13))
    with torch.no_grad():
        inputs, targets = (torch.cat(part) for part in zip(*held_out, strict=True))
        expected = F.cross_entropy(ours(inputs).flatten(0, 1), targets.flatten()).item()
    assert math.isclose(history[-1].validation, expected, rel_tol=1e-12)


def test_a_resumed_run_is_the_whole_run(solution, tmp_path):
    start = small_gpt(solution, dropout=0.3).state_dict()

    def run(name, stop=99, resume=False):
        model, calls = small_gpt(solution, dropout=0.3), []
        model.load_state_dict(start)

        def next_batch(generator):
            calls.append(0)
            if len(calls) > stop:
                raise KeyboardInterrupt
            return windows(generator)

        config = solution.train.TrainConfig(steps=9, peak_lr=0.05, checkpoint=tmp_path / name, checkpoint_every=4)
        return model, solution.train.train(model, next_batch, config, resume=resume)

    torch.manual_seed(1)
    whole, history = run("whole")
    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        run("parts", stop=6)
    torch.manual_seed(2)
    parts, resumed = run("parts", resume=True)
    assert resumed == history
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_overfitting_is_prechelts_rule_read_word_by_word(solution):
    stream = np.random.RandomState(2)
    for _ in range(300):
        losses, patience = stream.randint(0, 5, stream.randint(0, 8)).tolist(), int(stream.randint(1, 4))
        before, last = losses[:-patience], losses[-patience:]
        expected = bool(before) and all(loss >= min(before) for loss in last)
        assert solution.train.overfits(losses, patience) == expected


def test_filters_are_hugging_faces_warpers(solution):
    process = pytest.importorskip("transformers.generation.logits_process")
    logits, text = 3 * torch.randn(4, 23), torch.randint(23, (4, 6))
    present = torch.zeros(4, 23, dtype=torch.bool).scatter(1, text, True)
    for k in (1, 5, 23, 60):
        assert_same(solution.sample.keep_top_k(logits, k), process.TopKLogitsWarper(k)(None, logits))
    for p in (0.05, 0.5, 0.9, 0.999):
        assert_same(solution.sample.keep_top_p(logits, p), process.TopPLogitsWarper(p)(None, logits))
    for penalty in (0.5, 1.0, 1.7):
        expected = process.RepetitionPenaltyLogitsProcessor(penalty)(text, logits.clone())
        assert_same(solution.sample.penalise_repetition(logits, present, penalty), expected)
    steps = (
        process.RepetitionPenaltyLogitsProcessor(1.4),
        process.TemperatureLogitsWarper(0.6),
        process.TopKLogitsWarper(9),
        process.TopPLogitsWarper(0.8),
    )
    expected = logits.clone()
    for step in steps:
        expected = step(text, expected)
    probs = solution.sample.next_token_probabilities(logits, solution.sample.Sampling(0.6, 9, 0.8, 1.4), present)
    assert_same(probs, expected.softmax(-1))


class Wrapped(nn.Module):
    """Hugging Face's GPT-2, called as `generate` calls a model."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, tokens):
        return self.model(tokens).logits


def test_greedy_text_is_hugging_faces(solution):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=40, n_positions=32, n_embd=24, n_head=3, n_layer=2, initializer_range=0.5, bos_token_id=0, eos_token_id=39,
        pad_token_id=39, attn_implementation="eager",
    )  # fmt: skip
    theirs = transformers.GPT2LMHeadModel(config).double().eval()
    prompts = [[5, 2, 11], [7], [1, 2, 3, 4, 5, 6]]
    for penalty, different in ((1.0, 3), (1.5, 10)):  # a text of one token over and over would prove little
        setting = solution.sample.Sampling(temperature=0.0, repetition_penalty=penalty)
        texts = solution.sample.generate(Wrapped(theirs), prompts, 14, setting, stop_token=39)
        for prompt, text in zip(prompts, texts, strict=True):
            whole = theirs.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=14, do_sample=False,
                repetition_penalty=penalty,
            )[0].tolist()  # fmt: skip
            expected = whole[len(prompt) :]
            assert text == (expected[: expected.index(39)] if 39 in expected else expected)
        assert len({token for text in texts for token in text}) >= different


def test_given_has_the_names_and_results_of_the_reference(reference, given):
    for module in MODULES:
        ours, theirs = getattr(reference, module), getattr(given, module)
        for name, thing in vars(ours).items():
            if (
                getattr(thing, "__module__", "").startswith("a02_training")
                and not name.startswith("_")
                and name != "show_progress"
            ):
                assert hasattr(theirs, name), f"given.{module} lacks {name}"
    logits, generator = torch.randn(2, 7), lambda: torch.Generator().manual_seed(4)
    for setting in ((1.0,), (0.5, 3), (1.3, None, 0.6), (0.0,), (0.8, 5, 0.9, 1.5)):
        present = torch.rand(2, 7) < 0.5
        both = [s.sample.next_token_probabilities(logits, s.sample.Sampling(*setting), present) for s in (reference, given)]
        assert_same(*both)
    data = np.arange(500, dtype=np.uint16)
    assert_same(*(s.data.random_batch(data, 8, 5, generator()) for s in (reference, given)))
    model = small_gpt(given, n_positions=6)
    texts = [
        s.sample.generate(model, [[1, 2], [3, 4], [5, 6]], 7, s.sample.Sampling(0.9, 6), generator=generator())
        for s in (reference, given)
    ]
    assert texts[0] == texts[1]
