"""The reference against code that others wrote: tiktoken, a slow trainer, PyTorch's GradScaler, schedulers and DistributedDataParallel,
TensorBoard's reader, SIGKILL; and `given` alike.

What is compared in float64 agrees to about 1e-14, so that a wrong version cannot hide in rounding.
"""

import copy
import functools
import importlib
import itertools
import json
import math
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import regex
import safetensors.torch
import tiktoken
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("float64")
MODULES = ("bpe", "accumulate", "amp", "schedule", "checkpoint", "metrics", "parallel")
IGNORE = -100
SPECIAL = ("<|end|>", "<|end|>x", "[s]")


@pytest.fixture(scope="module")
def reference(load):
    return load("reference", "a04_scaling", MODULES, gpt="given.a01_transformer.model")


@pytest.fixture(scope="module")
def provided(load):
    return load("assignments", "given.a04_scaling", MODULES, gpt="given.a01_transformer.model")


@pytest.fixture(scope="module", params=["reference", "provided"])
def solution(request):
    return request.getfixturevalue(request.param)


def assert_same(ours, theirs, tolerance=1e-12):
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def small_gpt(solution, **rest) -> nn.Module:
    sizes = {"vocab_size": 11, "n_positions": 8, "d_model": 8, "n_heads": 2, "n_layers": 1} | rest
    return solution.gpt.GPT(solution.gpt.GPTConfig(**sizes))


def padded_batch(batch_size=7, seq_len=6, seed=1):
    """Sequences of 1 to `seq_len` targets, and one that is all padding."""
    generator = torch.Generator().manual_seed(seed)
    inputs, targets = torch.randint(11, (2, batch_size, seq_len), generator=generator)
    lengths = torch.randint(1, seq_len + 1, (batch_size,), generator=generator)
    lengths[batch_size // 2] = 0
    return inputs, targets.masked_fill(torch.arange(seq_len) >= lengths[:, None], IGNORE)


def gradients(model):
    return [parameter.grad.clone() for parameter in model.parameters()]


def zipf_text(n_words: int, seed: int = 0) -> str:
    """Made-up words, few of them often."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(1, 9))) for _ in range(2000)]
    return " ".join(rng.choices(words, [1 / (rank + 2.7) for rank in range(2000)], k=n_words))


# ---------------------------------------------------------------------------------------------------------------------- bpe


def slow_merges(words: dict[bytes, int], n_merges: int) -> list[tuple[int, int]]:
    """The definition, word for word: count all pairs anew for each merge."""
    spelled = [([*word], count) for word, count in words.items()]
    merges = []
    for new in range(256, 256 + n_merges):
        counts = Counter()
        for ids, count in spelled:
            for pair in pairwise(ids):
                counts[pair] += count
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        for ids, _ in spelled:
            position = 0
            while position < len(ids) - 1:
                if (ids[position], ids[position + 1]) == best:
                    ids[position : position + 2] = [new]
                position += 1
        merges.append(best)
    return merges


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("ab", min_size=1, max_size=12).map(str.encode), st.integers(1, 5), max_size=12))
def test_merges_equal_a_slow_trainers_where_ties_and_runs_abound(solution, words):
    assert solution.bpe.train_merges(words, 40) == slow_merges(words, 40)


def test_merges_of_a_long_text_equal_a_slow_trainers(solution):
    words = solution.bpe.count_pretokens([zipf_text(4000)])
    assert solution.bpe.train_merges(words, 300) == slow_merges(words, 300)
    assert words == Counter(word.encode() for word in regex.findall(solution.bpe.PATTERN, zipf_text(4000)))


@functools.cache
def theirs(tokenizer) -> tiktoken.Encoding:
    return tiktoken.Encoding("theirs", pat_str=tokenizer.pattern, mergeable_ranks=tokenizer.ranks(), special_tokens=tokenizer.ids)


REAL = (Path(pickle.__file__).read_text(encoding="utf-8")[:60_000], Path(__file__).read_text(encoding="utf-8"))
ODD = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [
                "\r\n",
                "   ",
                "\u00a0\u2003",
                "e\u0301",
                "👩‍👩‍👧",
                "🇩🇪",
                "'ll 've I'm",
                "ab" * 9,
                "1234567",
                "的模型",
                "<|end|>",
                *SPECIAL,
            ]
        ),
    ),
    max_size=12,
).map("".join)


def trained(solution):
    return solution.bpe.train([*REAL, zipf_text(2000), "<|end|>".join(["ab", "Zeichen: äöü €"] * 9)], 256 + 700, SPECIAL)


@pytest.fixture(scope="module")
def tokenizer(solution):
    return trained(solution)


@pytest.fixture(scope="module")
def tokenizer_of_the_reference(reference):
    return trained(reference)


def same_ids_as_tiktoken(tokenizer, text):
    ids = tokenizer.encode(text)
    assert ids == theirs(tokenizer).encode_ordinary(text)
    assert tokenizer.decode(ids) == text


@settings(max_examples=400, deadline=None)
@given(text=ODD)
def test_ids_are_tiktokens(tokenizer, text):
    same_ids_as_tiktoken(tokenizer, text)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=ODD)
def test_ids_are_tiktokens_on_ten_thousand_strings(tokenizer_of_the_reference, text):
    same_ids_as_tiktoken(tokenizer_of_the_reference, text)


def test_ids_of_real_text_are_tiktokens(tokenizer):
    for path in sorted(Path(json.__file__).parent.glob("*.py")):
        same_ids_as_tiktoken(tokenizer, path.read_text(encoding="utf-8"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-3, 1000)))
def test_decoding_never_fails_and_is_pythons(tokenizer, ids):
    table = dict(enumerate(tokenizer.token_bytes))
    assert tokenizer.decode(ids) == b"".join(table.get(one, b"\xef\xbf\xbd") for one in ids).decode("utf-8", "replace")


@settings(max_examples=300, deadline=None)
@given(ODD, st.lists(st.integers(0, 60), max_size=8), st.booleans())
def test_chunks_give_the_tokens_of_the_whole(tokenizer, text, cuts, allow_special):
    borders = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    chunks = [text[start:end] for start, end in pairwise(borders)]
    assert list(tokenizer.encode_chunks(chunks, allow_special)) == tokenizer.encode(text, allow_special)


@settings(max_examples=300, deadline=None)
@given(st.text("ab'lvre 1.\n\t", max_size=20), st.text("ab'lvre 1.\n\t", max_size=6))
def test_what_is_settled_stays_whatever_comes(tokenizer, text, more):
    end = tokenizer.settled(text)
    cut = lambda whole: [found.end() for found in regex.finditer(tokenizer.pattern, whole)]
    assert [at for at in cut(text) if at <= end] == [at for at in cut(text + more) if at <= end]


def test_chunks_give_the_tokens_of_the_whole_for_every_short_text(solution):
    """Two pre-tokens of space, as the CR and the LF of "a CR LF b", would be one if the text ended behind them."""
    pairs = list(itertools.product(b" \r\n", repeat=2))
    tokenizer = solution.bpe.Tokenizer(pairs)
    for length in range(1, 6):
        for text in map("".join, itertools.product("a \r\n'", repeat=length)):
            whole = tokenizer.encode(text)
            for size in range(1, length):
                chunks = [text[start : start + size] for start in range(0, length, size)]
                assert list(tokenizer.encode_chunks(chunks)) == whole, (text, size)


def test_special_tokens_are_found_longest_first_and_only_when_allowed(tokenizer):
    end, longer, short = (tokenizer.ids[text] for text in SPECIAL)
    assert tokenizer.encode("<|end|><|end|>x[s]", allow_special=True) == [end, longer, short]
    assert not {end, longer, short} & set(tokenizer.encode("<|end|><|end|>x[s]"))
    assert all(b"<|end|" not in data for data in tokenizer.token_bytes[256 : 256 + len(tokenizer.merges)])


def test_a_saved_tokenizer_is_the_same_one_and_other_files_are_refused(solution, tokenizer, tmp_path):
    tokenizer.save(tmp_path / "ours.json")
    again = solution.bpe.Tokenizer.load(tmp_path / "ours.json")
    assert (again.merges, again.special, again.pattern, again.ids) == (
        tokenizer.merges,
        tokenizer.special,
        tokenizer.pattern,
        tokenizer.ids,
    )
    for content in (
        b"",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b'{"format": "byte pairs, 1", "merges": [[999, 1]], "special": [], "pattern": "."}',
    ):
        (tmp_path / "other.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.json"):
            solution.bpe.Tokenizer.load(tmp_path / "other.json")


def test_a_file_is_encoded_with_its_line_ends_and_in_little_memory(solution, tokenizer, tmp_path):
    path, text = tmp_path / "text", ("Zeile eins\r\n  zwei\t€\r" * 3000)
    path.write_bytes(text.encode())
    assert list(tokenizer.encode_file(path, chunk_size=1000)) == tokenizer.encode(text)


# --------------------------------------------------------------------------------------------------------- accumulate, amp


@pytest.mark.parametrize("n_micro_batches", [1, 2, 3, 7])
def test_micro_batches_give_the_gradient_of_the_whole_batch(solution, n_micro_batches):
    model, (inputs, targets) = small_gpt(solution), padded_batch()
    loss = F.cross_entropy(model(inputs).flatten(0, -2), targets.flatten(), ignore_index=IGNORE)
    loss.backward()
    whole = gradients(model)
    model.zero_grad()
    mean = solution.accumulate.accumulate_gradients(model, solution.accumulate.split_batch((inputs, targets), n_micro_batches))
    assert_same(gradients(model), whole)
    assert mean == pytest.approx(loss.item(), rel=1e-12)


def test_sixteen_bits_follow_pytorchs_grad_scaler(solution):
    """Steps in float16 under autocast, with overflows on the way: the same losses, skips, scales, and way through weight space."""
    torch.set_default_dtype(torch.float32)
    ours = small_gpt(solution)
    others = copy.deepcopy(ours)
    start = nn.utils.parameters_to_vector(ours.parameters()).detach()
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.3) for model in (ours, others)]
    scaler, pytorchs = (
        solution.amp.Scaler(2.0**30, interval=3),
        torch.amp.GradScaler("cpu", init_scale=2.0**30, growth_interval=3),
    )
    skipped = []
    for number in range(24):
        batch = padded_batch(seed=number)
        step = solution.amp.training_step(ours, optimizers[0], [batch], scaler, torch.float16, max_norm=0.5)
        with torch.autocast("cpu", torch.float16):
            logits = others(batch[0])
        loss = F.cross_entropy(logits.float().flatten(0, -2), batch[1].flatten(), ignore_index=IGNORE)
        optimizers[1].zero_grad()
        pytorchs.scale(loss).backward()
        pytorchs.unscale_(optimizers[1])
        norm = nn.utils.clip_grad_norm_(others.parameters(), 0.5)
        pytorchs.step(optimizers[1])
        pytorchs.update()
        skipped.append(step.skipped)
        assert step.skipped == (not norm.isfinite())
        assert scaler.scale == pytorchs.get_scale()
        assert step.loss == pytest.approx(loss.item(), rel=2e-3)
    assert any(skipped) and not all(skipped)
    assert any(skipped[skipped.index(False) :])  # it grew too far once, and came back
    mine, other = (nn.utils.parameters_to_vector(model.parameters()).detach() - start for model in (ours, others))
    assert (mine - other).norm() < 0.01 * other.norm()


def test_a_step_that_is_skipped_changes_nothing_but_the_scale(solution):
    model = nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11))
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = solution.schedule.Scheduler(optimizer, lambda number: 1.0 / number)
    solution.amp.training_step(model, optimizer, [padded_batch()], solution.amp.Scaler.off(), scheduler=scheduler)
    with torch.no_grad():
        model[1].weight.mul_(1e280)  # the gradients are finite, and 2^100 times as large they are not
    before = copy.deepcopy((dict(model.state_dict()), optimizer.state_dict()["state"]))
    scaler = solution.amp.Scaler(scale=2.0**100)
    step = solution.amp.training_step(model, optimizer, [padded_batch()], scaler, scheduler=scheduler)
    assert step.skipped and not math.isfinite(step.grad_norm) and math.isfinite(step.loss)
    assert (scaler.scale, scheduler.state_dict(), optimizer.param_groups[0]["lr"]) == (2.0**99, {"done": 1}, 0.5)
    assert_same(dict(model.state_dict()), before[0], 0)
    assert_same(optimizer.state_dict()["state"], before[1], 0)


# ---------------------------------------------------------------------------------------------------------------- schedule


def test_the_rate_is_that_of_pytorchs_chained_schedulers(solution):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3.0)
    rise, fall = (torch.optim.lr_scheduler.LinearLR(optimizer, *ends) for ends in ((1 / 5, 1.0, 4), (1.0, 0.1, 8)))
    chain = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [21])
    for step in range(1, 36):
        ours = solution.schedule.warmup_stable_decay(step, 30, 3.0, warmup=5, decay=8, final_share=0.1)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), step
        optimizer.step()
        chain.step()


def test_a_root_falls_to_one_half_in_a_quarter_of_the_decay(solution):
    rates = [solution.schedule.warmup_stable_decay(step, 20, 2.0, 0, 16, shape="sqrt") for step in (4, 5, 8, 20, 25)]
    assert rates == pytest.approx([2.0, 2 * (1 - 1 / 4), 1.0, 0.0, 0.0])


def test_every_trained_parameter_is_in_one_group_and_a_tied_head_does_not_decay(solution):
    model = small_gpt(solution)
    model.norm.weight.requires_grad_(False)
    decays, rest = solution.schedule.groups(model, 0.1)
    assert decays["weight_decay"] == 0.1 and rest["weight_decay"] == 0.0
    assert {id(one) for group in (decays, rest) for one in group["params"]} == {
        id(one) for one in model.parameters() if one.requires_grad
    }
    assert all(parameter.ndim == 2 for parameter in decays["params"])
    assert all("embedding" not in name and "head" not in name for name in decays["names"])
    assert "token_embedding.weight" in rest["names"]
    torch.optim.AdamW([decays, rest])


# -------------------------------------------------------------------------------------------------------------- checkpoint


def run_of(solution, model, generator) -> tuple[dict, object]:
    """What a run consists of, and a function that makes one step of it."""
    optimizer = torch.optim.AdamW(solution.schedule.groups(model, 0.1))
    scheduler = solution.schedule.Scheduler(optimizer, lambda n: solution.schedule.warmup_stable_decay(n, 12, 1e-2))
    scaler = solution.amp.Scaler(2.0**8, interval=2)
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler}

    def step():
        inputs, targets = torch.randint(11, (2, 4, 6), generator=generator)
        targets = targets.masked_fill(torch.from_numpy(np.random.rand(4, 6) < 0.2), IGNORE)
        order = random.sample(range(4), 4)  # all random generators take part, that of dropout too
        return solution.amp.training_step(
            model.train(), optimizer, [(inputs[order], targets[order])], scaler, scheduler=scheduler
        )

    return parts, step


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_goes_on_bit_for_bit(solution, tmp_path, dtype):
    torch.set_default_dtype(dtype)
    random.seed(1)
    np.random.seed(1)
    generator = torch.Generator().manual_seed(1)
    parts, step = run_of(solution, small_gpt(solution, dropout=0.2), generator)
    for _ in range(5):
        step()
    solution.checkpoint.save_checkpoint(tmp_path / "run", parts, {"step": 5, "loss": math.nan}, {"data": generator})
    wanted = [step() for _ in range(5)]
    weights = copy.deepcopy(parts["model"].state_dict())

    for disturbed in (random.seed, np.random.seed, torch.manual_seed, generator.manual_seed):
        disturbed(99)
    other = torch.Generator()
    parts, step = run_of(solution, small_gpt(solution, dropout=0.2), other)
    position = solution.checkpoint.load_checkpoint(tmp_path / "run", parts, {"data": other})
    assert position["step"] == 5 and math.isnan(position["loss"])
    assert [step() for _ in range(5)] == wanted
    assert_same(dict(parts["model"].state_dict()), dict(weights), 0)


def test_a_snapshot_stays_what_it_was_and_can_be_put_back_twice(solution):
    generator = torch.Generator().manual_seed(0)
    parts, step = run_of(solution, small_gpt(solution), generator)
    step()
    state = solution.checkpoint.snapshot(parts, {"data": generator})
    runs = []
    for _ in range(2):
        runs.append([step() for _ in range(3)])
        solution.checkpoint.restore(state, parts, {"data": generator})
    assert runs[0] == runs[1]


def test_either_reads_what_the_other_wrote(reference, provided, tmp_path):
    state = {1: [torch.arange(3), (1, "x", None, True)], "half": torch.ones(2, 1, dtype=torch.bfloat16).T, "none": torch.empty(0)}
    for writer, reader in ((reference, provided), (provided, reference)):
        writer.checkpoint.write(tmp_path / "file", state)
        again = reader.checkpoint.read(tmp_path / "file")
        assert again[1][1] == state[1][1] and list(again) == list(state)
        assert_same([again[1][0], again["half"], again["none"]], [state[1][0], state["half"], state["none"]], 0)


def test_files_that_are_cut_short_or_foreign_are_refused_and_run_nothing(solution, tmp_path):
    solution.checkpoint.write(tmp_path / "whole", {"weights": torch.arange(50.0), "step": 3})
    data = (tmp_path / "whole").read_bytes()

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"bomb": Bomb()}, tmp_path / "torch.pt")
    others = [data[:length] for length in range(0, len(data), 7)]
    others += [
        pickle.dumps(Bomb()),
        (tmp_path / "torch.pt").read_bytes(),
        b"\0" * 100,
        safetensors.torch.save({"a": torch.ones(3)}),
    ]
    for content in others:
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(ValueError, match="other"):
            solution.checkpoint.read(tmp_path / "other")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(FileNotFoundError):
        solution.checkpoint.read(tmp_path / "missing")
    with pytest.raises(TypeError, match="set"):
        solution.checkpoint.write(tmp_path / "whole", {"odd": {1, 2}})
    assert (tmp_path / "whole").read_bytes() == data


def test_parts_that_do_not_fit_are_named_and_nothing_is_changed(solution, tmp_path):
    model = small_gpt(solution)
    solution.checkpoint.save_checkpoint(tmp_path / "run", {"model": model}, 0)
    other = small_gpt(solution)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="scaler"):
        solution.checkpoint.load_checkpoint(tmp_path / "run", {"model": other, "scaler": solution.amp.Scaler()})
    assert_same(dict(other.state_dict()), dict(before), 0)


SAVER = """
import sys, torch
sys.path[:0] = {paths!r}
from {package} import checkpoint
checkpoint.write({path!r} + ".first", {{"weights": torch.zeros(9)}})  # the first one takes longer
print("ready", flush=True)
for number in range(1, 10**9):
    checkpoint.write({path!r}, {{"number": number, "weights": torch.full((100_000,), float(number))}})
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_of_saving_leaves_a_whole_checkpoint(reference, tmp_path):
    """Processes that do nothing but save are killed at random moments, until a hundred kills fell into the middle of saving."""
    path, rng, seen, kills, halves = tmp_path / "run", random.Random(0), set(), 0, 0
    program = SAVER.format(paths=[str(ROOT / "reference"), str(ROOT / "assignments")], package="a04_scaling", path=str(path))
    reference.checkpoint.write(path, {"number": 0, "weights": torch.zeros(100_000)})
    command = [sys.executable, "-c", FORKED.format(program=program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        while halves < 100:
            kills += 1
            assert kills <= 2000, f"{halves} of {kills} kills fell into the middle of saving"
            (tmp_path / "run.part").unlink(missing_ok=True)
            server.stdin.write(f"{rng.uniform(0.0, 0.1)}\n")
            server.stdin.flush()
            assert server.stdout.readline().strip() == "killed"
            halves += (tmp_path / "run.part").exists()
            state = reference.checkpoint.read(path)
            assert (state["weights"] == float(state["number"])).all()
            seen.add(state["number"])
        server.stdin.close()
    print(f"{kills} kills, {halves} in the middle of a save; {len(seen)} different checkpoints")
    assert len(seen) > 3  # some saves were finished


# torch is imported once; each run is a fork of that process, killed after as many seconds as a line of its input says.
FORKED = """
import os, signal, sys, time
import safetensors.torch, torch, numpy
torch.set_num_threads(1)
program = compile({program!r}, "saver", "exec")
for line in sys.stdin:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        exec(program, {{"__name__": "saver"}})
    os.close(writer)
    os.read(reader, 6)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    print("killed", flush=True)
"""


@pytest.mark.parametrize(
    ("interval", "save", "restart", "mean"), [(60.0, 5.0, 20.0, 300.0), (10.0, 3.0, 0.0, 50.0), (100, 1, 50, 80)]
)
def test_the_expected_time_is_the_mean_of_many_simulated_runs(solution, interval, save, restart, mean):
    """Within 5 standard errors: a false alarm once in 1.7 million."""
    generator = torch.Generator().manual_seed(0)
    runs = torch.tensor(
        [solution.checkpoint.simulated_seconds(5 * interval, interval, save, restart, mean, generator) for _ in range(3000)]
    )
    expected = solution.checkpoint.expected_seconds(5 * interval, interval, save, restart, mean)
    assert abs(runs.mean() - expected) < 5 * runs.std() / math.sqrt(len(runs))


def test_youngs_interval_is_nearly_the_best(solution):
    for save, mean in ((1.0, 1e4), (10.0, 3600.0), (30.0, 600.0)):
        young = solution.checkpoint.young_interval(save, mean)
        cost = lambda interval: solution.checkpoint.expected_seconds(1.0, interval, save, 0.0, mean)
        best = min(np.geomspace(young / 4, young * 4, 2001), key=cost)
        assert best == pytest.approx(young, rel=1.0 * math.sqrt(save / mean))
        assert cost(young) < 1.01 * cost(best) and cost(3 * young) > cost(best) < cost(young / 3)


# ----------------------------------------------------------------------------------------------------------------- metrics


def test_tensorboards_own_reader_finds_what_was_written(solution, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for resume_at, steps in ((None, range(1, 6)), (3, range(4, 8))):
        board = solution.metrics.TensorBoard(tmp_path, resume_at)
        for step in steps:
            board.write(step, {"loss": 1 / step + (resume_at or 0), "lr": 0.5})
        board.close()
        time.sleep(1.1)  # names of event files tell seconds apart
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    assert reader.Tags()["scalars"] == ["loss", "lr"]
    found = {event.step: event.value for event in reader.Scalars("loss")}
    assert found == pytest.approx({step: 1 / step + (3 if step > 3 else 0) for step in range(1, 8)}, rel=1e-6)


def test_lines_are_json_and_there_at_once_and_a_resumed_run_drops_what_it_will_do_again(solution, tmp_path):
    path = tmp_path / "metrics"
    log = solution.metrics.JsonLines(path)
    for step, loss in enumerate((2.5, math.nan, math.inf, -math.inf, 1e-30), 1):
        log.write(step, {"loss": loss})
        refuse = lambda name: pytest.fail(f"{name} is no JSON")
        rows = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
        assert len(rows) == step
    assert [float(row["loss"]) for row in rows] == pytest.approx([2.5, math.nan, math.inf, -math.inf, 1e-30], nan_ok=True)
    log.close()
    with path.open("a") as file:
        file.write('{"step": 6, "lo')  # the run was killed here
    log = solution.metrics.JsonLines(path, resume_at=3)
    log.write(4, {"loss": 0.25})
    log.close()
    assert [(row["step"], row["loss"]) for row in solution.metrics.read_json_lines(path)] == [
        (1, 2.5),
        (2, "nan"),
        (3, "inf"),
        (4, 0.25),
    ]


def test_what_is_not_installed_is_named(solution):
    if importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed here")
    with pytest.raises(ModuleNotFoundError, match="pip install wandb"):
        solution.metrics.WeightsAndBiases("course")


def test_norm_and_operations_are_those_of_others(solution):
    from given.a00_foundations.profiling import forward_flops, training_flops

    model = small_gpt(solution, d_model=16, n_layers=3)
    model(torch.zeros(1, 8, dtype=torch.int64)).sum().backward()
    theirs = nn.utils.get_total_norm(gradients(model)).item()
    assert solution.metrics.grad_norm(model.parameters()) == pytest.approx(theirs, rel=1e-12)
    n_weights = 3 * 12 * 16 * 16 + 11 * 16
    per_token = solution.metrics.flops_per_token(n_weights, 3, 16, 8)
    assert per_token * 8 == training_flops(sum(forward_flops(1, 8, 16, 3, 11).values()))


# ---------------------------------------------------------------------------------------------------------------- parallel


class Threads:
    """A collective of threads of this process; each call waits for all of them."""

    def __init__(self, rank, size, meeting, table):
        self.rank, self.size, self.meeting, self.table, self.calls = rank, size, meeting, table, 0

    def all_reduce(self, tensor):
        self.calls += 1
        self.table[self.rank] = tensor.clone()
        self.meeting.wait(20)
        tensor.copy_(sum(self.table[rank] for rank in range(self.size)))
        self.meeting.wait(20)

    def broadcast(self, tensor, source=0):
        self.table[self.rank] = tensor.detach().clone()
        self.meeting.wait(20)
        tensor.copy_(self.table[source])
        self.meeting.wait(20)


def on_ranks(size, work):
    """What `work(collective)` returns on each rank."""
    meeting, table, results = threading.Barrier(size), {}, {}

    def run(rank):
        torch.set_default_dtype(torch.float64)
        results[rank] = work(Threads(rank, size, meeting, table))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [results[rank] for rank in range(size)]


@pytest.mark.parametrize(("size", "batch_size", "n_micro_batches"), [(2, 8, 2), (3, 7, 1), (2, 1, 1), (3, 2, 1), (2, 7, 3)])
def test_ranks_together_do_what_one_does_with_the_global_batch(solution, size, batch_size, n_micro_batches):
    start = [small_gpt(solution) for _ in range(size)]  # each rank begins elsewhere
    alone = copy.deepcopy(start[0])
    optimizer = torch.optim.AdamW(alone.parameters(), lr=1e-2)
    batches = [padded_batch(batch_size, seed=seed) for seed in range(10)]
    for _, targets in batches:
        targets[0, 0] = 1
    off = solution.amp.Scaler.off
    wanted = [solution.amp.training_step(alone, optimizer, [batch], off()) for batch in batches]

    def work(collective):
        model = start[collective.rank]
        solution.parallel.broadcast_parameters(model, collective)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        steps = []
        for batch in batches:
            shard = solution.parallel.shard_batch(batch, collective.rank, collective.size)
            n = min(n_micro_batches, len(shard[0]))
            micro_batches = solution.accumulate.split_batch(shard, n) if n else []
            steps.append(solution.parallel.parallel_step(model, optimizer, micro_batches, collective, off()))
        return model, steps, collective.calls

    for model, steps, calls in on_ranks(size, work):
        assert_same(dict(model.state_dict()), dict(alone.state_dict()), 1e-10)
        assert [step.loss for step in steps] == pytest.approx([step.loss for step in wanted], rel=1e-10)
        assert calls == 3 * len(batches)  # counts, gradients, losses; however many micro-batches


def test_shards_are_even_and_have_each_sequence_once(solution):
    for batch_size in range(9):
        batch = (torch.arange(batch_size)[:, None], torch.arange(batch_size)[:, None])
        shards = [solution.parallel.shard_batch(batch, rank, 4)[0].flatten().tolist() for rank in range(4)]
        assert [number for shard in shards for number in shard] == list(range(batch_size))
        assert max(map(len, shards)) - min(map(len, shards)) <= 1


DDP = """
import copy, gc, torch
import torch.nn.functional as F
from contextlib import nullcontext
from a04_scaling.accumulate import split_batch, summed_loss, count_targets
from a04_scaling.amp import Scaler
from a04_scaling.parallel import broadcast_parameters, connect, global_count, parallel_step, shard_batch
from given.a01_transformer.model import GPT, GPTConfig
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
with connect(timeout=600) as collective:
    torch.manual_seed(collective.rank)
    ours = GPT(GPTConfig(11, 8, 8, 2, 1))
    broadcast_parameters(ours, collective)
    theirs = copy.deepcopy(ours)
    ddp = torch.nn.parallel.DistributedDataParallel(theirs)
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-2) for model in (ours, theirs)]
    generator = torch.Generator().manual_seed(5)
    for number in range(10):
        batch_size = 7 if number % 2 else 9  # never a multiple of the ranks
        batch = tuple(torch.randint(11, (2, batch_size, 6), generator=generator))
        micro_batches = split_batch(shard_batch(batch, collective.rank, collective.size), 3)
        parallel_step(ours, optimizers[0], micro_batches, collective, Scaler.off(), max_norm=1e9)
        optimizers[1].zero_grad()
        total = global_count(count_targets(micro_batches), collective)
        for index, (inputs, targets) in enumerate(micro_batches):
            with nullcontext() if index == len(micro_batches) - 1 else ddp.no_sync():
                (summed_loss(ddp(inputs), targets) / total * collective.size).backward()  # DDP divides by the ranks
        for mine, other in zip(ours.parameters(), theirs.parameters()):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-12, atol=1e-14)
        optimizers[1].step()
    for mine, other in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)
    print(f"rank {collective.rank} of {collective.size} agrees\\n", end="", flush=True)  # in one write, beside the other rank's
    del ddp  # PyTorch's object holds on to the group in a cycle, and the group's threads must not outlive the interpreter
    gc.collect()
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch is without torch.distributed")
def test_two_processes_under_torchrun_agree_with_pytorchs_own_data_parallelism(tmp_path):
    (tmp_path / "ddp.py").write_text(DDP)
    done = torchrun(tmp_path / "ddp.py")
    assert done.returncode == 0, done.stderr
    assert "rank 0 of 2 agrees" in done.stdout and "rank 1 of 2 agrees" in done.stdout


def torchrun(program: Path) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(ROOT / "reference"), str(ROOT / "assignments"), str(ROOT / "datasets")])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.long
def test_the_demo_kills_a_rank_and_goes_on_to_the_same_weights(tmp_path):
    shutil.copytree(ROOT / "assignments" / "a04_scaling", tmp_path / "a04_scaling")
    shutil.copytree(ROOT / "reference" / "a04_scaling", tmp_path / "a04_scaling", dirs_exist_ok=True)
    paths = os.pathsep.join([str(tmp_path), str(ROOT / "assignments"), str(ROOT / "datasets"), str(ROOT)])
    command = [sys.executable, "-m", "a04_scaling.demo", "kill"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost another rank" in done.stdout and "start the run again with the same command" in done.stdout
    assert "goes on after step 40" in done.stdout and "bit for bit: reached" in done.stdout
