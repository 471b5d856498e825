"""Checks of checkpoint.py."""

import math
import os
import pickle
import random
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import matches_reference, needs, part, refusal, satisfies

RANDOM_STATE = ("checkpoint.random_state", "checkpoint.restore_random_state")
RUNS = 1500  # simulated runs of a statistic


class Run:
    """A small training whose every step depends on all that a checkpoint should hold."""

    def __init__(self, solution, draw):
        self.model = draw.fill_(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1.0)
        self.scheduler = solution.schedule.Scheduler(self.optimizer, lambda number: 0.1 / number)
        self.generator = torch.Generator().manual_seed(1)

    @property
    def parts(self):
        return {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}

    def step(self):
        """One update on a batch that all four random generators have made."""
        drawn = [random.random(), np.random.rand(), torch.rand(1, dtype=torch.float64).item()]
        batch = torch.rand(5, 3, generator=self.generator, dtype=torch.float64) + torch.tensor(drawn, dtype=torch.float64)
        self.optimizer.zero_grad()
        self.model(batch.to(torch.get_default_dtype())).square().sum().backward()
        self.optimizer.step()
        self.scheduler.step()


def seed(number):
    """All that is random starts from a number; one normal value of each is drawn, so that its twin waits to be used."""
    random.seed(number)
    np.random.seed(number)
    torch.default_generator.manual_seed(number)
    return random.gauss(0, 1), np.random.randn()


def drawn():
    """What comes next, from each source."""
    return {
        "python": [random.gauss(0, 1), random.random()],
        "numpy": [np.random.randn(), np.random.rand()],
        "torch": torch.randint(1000, (3,)),
    }


def flat(tree):
    """The tensors of a tree as they are now, by their way through it; numbers as tensors; everything else left out."""
    if isinstance(tree, torch.Tensor):
        return {"": tree.detach().clone()}
    if isinstance(tree, bool | int | float):
        return {"": torch.tensor(tree)}
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    return {f"{key} {path}".strip(): leaf for key, value in inner for path, leaf in flat(value).items()}


def equal(one, other):
    """Two trees hold the same, bit for bit."""
    one, other = flat(one), flat(other)
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def met(call):
    """How a file is met: "ValueError" for every kind of it, or what `refusal` says."""
    try:
        call()
    except ValueError:
        return "ValueError"
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return "accepted"


@part("checkpoint.snapshot")
@needs("checkpoint.random_state", "schedule.Scheduler")
@weight(1)
@matches_reference
def test_snapshot_holds_everything(solution, draw):
    """Parts, generators and the random state are there under their names, with the values that they have now."""
    run = Run(solution, draw)
    seed(3)
    run.step()
    state = solution.checkpoint.snapshot(run.parts, {"data": run.generator})
    return {
        "keys": " ".join(sorted(state)),
        "parts": " ".join(sorted(state["parts"])),
        "model": flat(state["parts"]["model"]),
        "optimizer": flat(state["parts"]["optimizer"]["state"]),
        "scheduler": state["parts"]["scheduler"],
        "generator": torch.equal(state["generators"]["data"], run.generator.get_state()),
        "random": " ".join(sorted(state["random"])),
        "without generators": len(solution.checkpoint.snapshot({})["generators"]),
    }


@part("checkpoint.snapshot")
@needs("checkpoint.random_state", "schedule.Scheduler")
@weight(2)
@matches_reference
def test_snapshot_does_not_train_along(solution, draw):
    """Steps that come later change neither the weights nor the moments in it, however deep they lie; nothing in it has a history."""
    run = Run(solution, draw)
    seed(4)
    run.step()
    state = solution.checkpoint.snapshot(run.parts, {"data": run.generator})
    before = {name: flat(part) for name, part in (state["parts"] | {"generators": state["generators"]}).items()}
    for _ in range(2):
        run.step()
    after = {name: flat(part) for name, part in (state["parts"] | {"generators": state["generators"]}).items()}
    return {
        "stay": {name: equal(before[name], after[name]) for name in sorted(before)},
        "weights": after["model"],
        "no history": not any(tensor.requires_grad for tensor in state["parts"]["model"].values()),
    }


@part("checkpoint.restore")
@needs("checkpoint.snapshot", *RANDOM_STATE, "schedule.Scheduler")
@weight(1)
@matches_reference
def test_resumed_run_is_the_run(solution, draw):
    """Three steps, a snapshot, and three more in another model, optimiser and scheduler are six steps, bit for bit."""
    first = Run(solution, draw)
    seed(5)
    for _ in range(3):
        first.step()
    state = solution.checkpoint.snapshot(first.parts, {"data": first.generator})
    for _ in range(3):
        first.step()
    rest = drawn()
    second = Run(solution, draw)
    seed(77)
    solution.checkpoint.restore(state, second.parts, {"data": second.generator})
    for _ in range(3):
        second.step()
    return {
        "weights": flat(second.model.state_dict()),
        "same weights": equal(first.model.state_dict(), second.model.state_dict()),
        "same moments": equal(first.optimizer.state_dict()["state"], second.optimizer.state_dict()["state"]),
        "same lr": first.optimizer.param_groups[0]["lr"] == second.optimizer.param_groups[0]["lr"],
        "same draws": {name: torch.equal(torch.as_tensor(rest[name]), torch.as_tensor(value)) for name, value in drawn().items()},
        "same generator": torch.equal(first.generator.get_state(), second.generator.get_state()),
    }


@part("checkpoint.restore")
@needs("checkpoint.snapshot", *RANDOM_STATE, "schedule.Scheduler")
@weight(0.5)
@matches_reference
def test_snapshot_can_be_restored_again(solution, draw):
    """Training on after a restore leaves the snapshot as it is, so that a second restore goes back to the same state."""
    run = Run(solution, draw)
    seed(6)
    run.step()
    state = solution.checkpoint.snapshot(run.parts, {"data": run.generator})
    found = []
    for _ in range(2):
        solution.checkpoint.restore(state, run.parts, {"data": run.generator})
        for _ in range(2):
            run.step()
        found.append(run.model.state_dict() | flat(run.optimizer.state_dict()["state"]))
        found[-1] = flat(found[-1])
    return {"again": equal(*found), "weights": found[1]}


@part("checkpoint.restore")
@needs("checkpoint.snapshot", *RANDOM_STATE, "schedule.Scheduler")
@weight(0.5)
@matches_reference
def test_other_parts_are_refused(solution, draw):
    """Parts or generators that are not those of the snapshot are a ValueError, and nothing is changed; the right ones are taken."""
    run = Run(solution, draw)
    seed(7)
    state = solution.checkpoint.snapshot(run.parts, {"data": run.generator})
    run.step()
    before = flat(run.model.state_dict())
    restore = solution.checkpoint.restore
    refused = [
        refusal(lambda: restore(state, {"model": run.model}, {"data": run.generator})),
        refusal(lambda: restore(state, run.parts | {"more": run.model}, {"data": run.generator})),
        refusal(lambda: restore(state, run.parts)),
    ]
    unchanged = equal(before, run.model.state_dict())
    restore(state, run.parts, {"data": run.generator})
    return {"refused": refused, "unchanged": unchanged, "weights": flat(run.model.state_dict())}


@part("checkpoint.random_state")
@weight(1)
@matches_reference
def test_four_kinds_of_chance(solution, draw):
    """The states of Python, NumPy, PyTorch and each CUDA device come back under these names, and taking them draws nothing."""
    seed(int(draw.integers(1, 10**6)))
    before = random.getstate(), torch.get_rng_state()
    state = solution.checkpoint.random_state()
    kinds = {type(leaf).__name__ for leaf in leaves(state)}
    return {
        "names": " ".join(sorted(state)),
        "python": list(leaves(state["python"])) == list(leaves(before[0])),
        "torch": torch.equal(state["torch"], before[1]),
        "cuda": len(state["cuda"]) == torch.cuda.device_count(),
        "a file could hold it": kinds <= {"Tensor", "int", "float", "str", "bool", "NoneType"},
        "next": drawn(),
    }


def leaves(tree):
    """Everything in a tree that is no dict, list or tuple."""
    if isinstance(tree, dict | list | tuple):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(inner)
    else:
        yield tree


@part("checkpoint.random_state")
@needs("checkpoint.restore_random_state")
@weight(1)
@matches_reference
def test_state_of_chance_stays_what_it_was(solution, draw):
    """What is drawn later does not change a state that was taken: put back, it gives the numbers that came then."""
    seed(int(draw.integers(1, 10**6)))
    state = solution.checkpoint.random_state()
    first = drawn()
    for _ in range(700):  # past the end of NumPy's table, which is made anew in place
        np.random.rand()
    random.random()
    solution.checkpoint.restore_random_state(state)
    return {"first": first, "again": drawn()}


@part("checkpoint.restore_random_state")
@needs("checkpoint.random_state")
@weight(1)
@matches_reference
def test_chance_goes_on_from_there(solution, draw):
    """After other seeds and other draws, Python, NumPy and PyTorch draw on from the state, waiting normal values included."""
    first = int(draw.integers(1, 10**6))
    seed(first)
    state = solution.checkpoint.random_state()
    seed(first + 1)
    drawn()
    solution.checkpoint.restore_random_state(state)
    once = drawn()
    solution.checkpoint.restore_random_state(state)
    return {"once": once, "twice": drawn()}


def tree(draw):
    """A state of all kinds of things."""
    shared = draw.normal(3, 4)
    return {
        "model": {"weight": shared, "tied": shared, "transposed": shared.T, "every second": shared[:, ::2]},
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": draw.normal(2)}, 1: {"step": torch.tensor(4.0)}},
        "kinds": [draw.integers(0, 9, 3), torch.tensor([True, False]), draw.normal(4, dtype=torch.bfloat16), torch.zeros(0, 2)],
        "group": {"betas": (0.9, 0.95), "foreach": None, "maximize": False, "lr": 1e-30, "best": math.inf, "name": "é"},
        "nested": ([1, (2, [3.5])], {}, [], ()),
        "large": 2**63 + 1,
    }


def kept(tree):
    """Types and plain values of a tree, as text."""
    if isinstance(tree, torch.Tensor):
        return f"{tree.dtype} {tuple(tree.shape)}".replace(str(torch.get_default_dtype()), "real")
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {kept(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list | tuple):
        return f"{type(tree).__name__}({', '.join(map(kept, tree))})"
    return repr(tree)


@part("checkpoint.write")
@needs("checkpoint.read")
@weight(1)
@matches_reference
def test_whatever_a_state_is_made_of_comes_back(solution, draw):
    """Numbers as keys, tuples, None, tied and transposed tensors, 16 bits, infinity: the tree that is read is that written."""
    state = tree(draw)
    solution.checkpoint.write("state.safetensors", state)
    again = solution.checkpoint.read("state.safetensors")
    return {
        "tree": {name: kept(again[name]) for name in ("state", "group", "nested", "large")},
        "same": kept(again) == kept(state),
        "values": {name: leaf.to(torch.float64) for name, leaf in flat(again["model"]).items()},
        "moments": again["state"][0]["exp_avg"],
    }


def watched(module, work):
    """What `work()` does to names and disks, in its order: [what, which file, which name then, was the target there?]."""
    events, real = [], (os.replace, os.rename, os.fsync)

    def moved(move):
        def instead(source, target, **rest):
            events.append(["name", Path(source).name, Path(target).name, Path(target).exists()])
            return move(source, target, **rest)

        return instead

    def synced(file):
        number = file if isinstance(file, int) else file.fileno()
        where = Path(f"/proc/self/fd/{number}").readlink() if Path("/proc/self/fd").exists() else Path("unknown")
        events.append(["fsync", "folder" if where.is_dir() else where.name, "", True])
        return real[2](file)

    ours = (moved(real[0]), moved(real[1]), synced)
    bindings = [  # `from os import fsync` is a name of the module's own
        (where, name, number)
        for where in (os, module)
        for name, value in vars(where).items()
        for number, function in enumerate(real)
        if value is function
    ]
    for where, name, number in bindings:
        setattr(where, name, ours[number])
    try:
        work()
    finally:
        for where, name, number in bindings:
            setattr(where, name, real[number])
    return events


@part("checkpoint.write")
@needs("checkpoint.read")
@weight(1)
@matches_reference
def test_name_leads_to_the_old_file_or_the_new_one(solution, draw):
    """The new file is written beside the old one and takes its name in one stroke; the old one's bytes are never written over."""
    folder = Path("run")
    folder.mkdir()
    path = folder / "last"
    path.write_bytes(b"an old checkpoint" * 100)
    os.link(path, "kept")  # a second name for the old file
    state = {"step": int(draw.integers(1, 10**6)), "weight": draw.normal(500)}
    events = watched(solution.checkpoint, lambda: solution.checkpoint.write(path, state))
    names = [event[1:] for event in events if event[0] == "name"]
    return {
        "moves": len(names),
        "from": names[0][0] if names else "",
        "to": names[0][1] if names else "",
        "was there all the time": names[0][2] if names else False,
        "old bytes": Path("kept").read_bytes() == b"an old checkpoint" * 100,
        "files": " ".join(sorted(file.name for file in folder.iterdir())),
        "step": solution.checkpoint.read(path)["step"],
    }


@part("checkpoint.write")
@weight(0.5)
@matches_reference
def test_file_is_on_the_disk_before_its_name(solution, draw):
    """The new file is synced before the name moves to it, and the folder after that: a power failure finds old or new."""
    events = watched(solution.checkpoint, lambda: solution.checkpoint.write("last", {"weight": draw.normal(9)}))
    events = [event[:2] for event in events]
    rename = next((number for number, event in enumerate(events) if event[0] == "name"), len(events))
    return {
        "file synced before": ["fsync", "last.part"] in events[:rename] or ["fsync", "unknown"] in events[:rename],
        "named": rename < len(events),
        "folder synced after": any(event[0] == "fsync" and event[1] in ("folder", "unknown") for event in events[rename:]),
    }


@part("checkpoint.write")
@needs("checkpoint.read")
@weight(0.5)
@matches_reference
def test_what_cannot_be_written_leaves_the_old_file(solution, draw):
    """An object that is no tensor or plain value is a TypeError, wherever it stands, and nothing is written; the old file stays."""
    write, folder = solution.checkpoint.write, Path("run")
    folder.mkdir()
    write(folder / "last", {"step": 1, "weight": draw.normal(3)})
    refused = [
        refusal(lambda s=s: write(folder / "last", s)) for s in ({"a": [1, {"b": object()}]}, np.zeros(2), {"f": len}, {1j: 2})
    ]
    again = solution.checkpoint.read(str(folder / "last"))
    return {
        "refused": refused,
        "files": " ".join(sorted(f.name for f in folder.iterdir())),
        "step": again["step"],
        "weight": again["weight"],
    }


@part("checkpoint.read")
@needs("checkpoint.write")
@weight(1)
@matches_reference
def test_tensors_are_on_the_device_that_was_asked_for(solution, draw):
    """Tensors and plain values are those that were written, on one device; a file that is not there is a FileNotFoundError."""
    state = {"weight": draw.normal(2, 3), "moments": [draw.normal(3), (draw.integers(0, 9, 2), "text")], 5: None}
    solution.checkpoint.write("some", state)
    again = [
        solution.checkpoint.read("some"),
        solution.checkpoint.read(Path("some"), torch.device("cpu")),
        solution.checkpoint.read("some", "cpu"),
    ]
    return {
        "trees": [kept(one) == kept(state) for one in again],
        "weights": torch.stack([one["weight"] for one in again]),
        "others": [one["moments"][1][0] for one in again],
        "devices": " ".join(one["weight"].device.type for one in again),
        "missing": met(lambda: solution.checkpoint.read("elsewhere")),
    }


@part("checkpoint.read")
@needs("checkpoint.write")
@weight(1)
@matches_reference
def test_file_that_is_cut_short_is_refused(solution, draw):
    """Wherever the end of a file is missing, reading it is a ValueError; the whole one is read."""
    solution.checkpoint.write("whole", {"weight": draw.normal(300), "step": 5})
    whole = Path("whole").read_bytes()
    found = []
    for share in (0.0, 0.001, 0.01, 0.05, 0.3, 0.5, 0.9, 0.999):
        Path("cut").write_bytes(whole[: int(share * len(whole))])
        found.append(met(lambda: solution.checkpoint.read("cut")))
    Path("cut").write_bytes(whole[:-1])
    return {
        "refused": found,
        "a byte": met(lambda: solution.checkpoint.read("cut")),
        "whole": solution.checkpoint.read("whole")["weight"],
    }


class Runs:
    """What a foreign pickle does when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("it ran",)


@part("checkpoint.read")
@needs("checkpoint.write")
@weight(1)
@matches_reference
def test_foreign_file_is_refused_and_nothing_in_it_runs(solution, draw):
    """Pickles, texts, and safetensors files of others are a ValueError, and no code in them is run; one's own is read."""
    from safetensors.torch import save

    read = solution.checkpoint.read
    for name, content in (
        ("pickle", pickle.dumps(Runs())),
        ("text", b"step: 5\n" * 50),
        ("a model of others", save({"weight": torch.zeros(3)})),
        ("another format", save({"0": torch.zeros(3)}, {"format": "pt", "tree": "{}"})),
        ("zeros", bytes(1000)),
    ):
        Path(name).write_bytes(content)
    torch.save({"weight": Runs()}, "saved by torch")
    solution.checkpoint.write("own", {"step": int(draw.integers(1, 10**6))})
    names = ("pickle", "text", "a model of others", "another format", "zeros", "saved by torch")
    return {
        "refused": {name: met(lambda name=name: read(name)) for name in names},
        "ran": Path("it ran").exists(),
        "own": read("own")["step"],
    }


@part("checkpoint.young_interval")
@weight(1)
@matches_reference
def test_interval_of_least_loss(solution, draw):
    """The interval is the root of twice the product of both times; times that are not positive are a ValueError."""
    young = solution.checkpoint.young_interval
    wrong = ((0.0, 10.0), (1.0, -3.0), (math.nan, 1.0))
    return {
        "half a minute": young(30.0, 14_400.0),
        "drawn": young(draw.uniform(1.0, 90.0).item(), 3_600.0),
        "long": young(2.0, 1e6),
        "refused": [refusal(lambda a=a: young(*a)) for a in wrong],
    }


@part("checkpoint.expected_seconds")
@weight(1)
@matches_reference
def test_what_failures_cost_on_average(solution, draw):
    """Daly's formula: few failures and many, with and without a restart, and to the last digit where they hardly ever come."""
    expected = solution.checkpoint.expected_seconds
    return {
        "usual": expected(36_000.0, 900.0, 30.0, 120.0, 14_400.0),
        "drawn": expected(36_000.0, 900.0, draw.uniform(10.0, 60.0).item(), 120.0, draw.uniform(5_000.0, 20_000.0).item()),
        "many failures": expected(600.0, 60.0, 10.0, 20.0, 50.0),
        "free restart": expected(600.0, 60.0, 10.0, 0.0, 80.0),
        "free saving": expected(600.0, 60.0, 0.0, 30.0, 80.0),
        "hardly ever": expected(600.0, 60.0, 10.0, 20.0, 1e14),
    }


def as_daly_says(leaf, work, interval, save, restart, mean):
    """Mean time and share of runs without a failure are those of Daly's assumptions.

    The mean of n runs is normal to first order: within 6 of its own standard errors, which is 2e-9 for a bell and leaves room for
    the skewness of single runs. The share is binomial with p = exp(−(time without failures) / mean): within the two-sided bound of 1e-6.
    """
    quick = work / interval * (interval + save)
    expected = work / interval * mean * math.exp(restart / mean) * math.expm1((interval + save) / mean)
    p, z = math.exp(-quick / mean), NormalDist().inv_cdf(1 - 5e-7)

    def holds(seen):
        seconds = seen[leaf].values
        if not np.isfinite(seconds).all() or seconds.min() < quick * (1 - 1e-9):
            return f"{leaf}: a run takes at least {quick:.4g} seconds; there is one of {seconds.min():.4g}"
        error = seconds.std() / math.sqrt(len(seconds))
        if abs(seconds.mean() - expected) > 6 * error:
            return f"{leaf}: {len(seconds)} runs take {seconds.mean():.5g} s on average; it should be {expected:.5g} ± {6 * error:.2g}"
        share, spread = (seconds < quick * (1 + 1e-9)).mean(), z * math.sqrt(p * (1 - p) / len(seconds))
        if abs(share - p) > spread:
            return f"{leaf}: {100 * share:.1f} % of the runs see no failure; it should be {100 * p:.1f} ± {100 * spread:.1f} %"
        return None

    return holds


def simulated(solution, draw, *times):
    """The seconds of RUNS runs."""
    generator = torch.Generator().manual_seed(draw.seed)
    return torch.tensor([solution.checkpoint.simulated_seconds(*times, generator) for _ in range(RUNS)], dtype=torch.float64)


@part("checkpoint.simulated_seconds")
@weight(1)
@satisfies(as_daly_says("seconds", 300.0, 60.0, 10.0, 40.0, 150.0), random=("seconds",))
def test_simulated_runs_agree_with_the_formula(solution, draw):
    """1,500 runs take the expected time on average, and as many of them as should meet no failure."""
    seconds = simulated(solution, draw, 300.0, 60.0, 10.0, 40.0, 150.0)
    never = solution.checkpoint.simulated_seconds(300.0, 60.0, 10.0, 40.0, 1e15, torch.Generator().manual_seed(0))
    tenths = solution.checkpoint.simulated_seconds(0.3, 0.1, 0.0, 1.0, 1e15, torch.Generator().manual_seed(0))
    return {"seconds": seconds, "without failures": never, "three tenths": tenths}  # 0.3 / 0.1 is a little less than 3


@part("checkpoint.simulated_seconds")
@weight(1)
@satisfies(as_daly_says("seconds", 60.0, 20.0, 30.0, 50.0, 45.0), random=("seconds",))
def test_failures_come_while_saving_and_while_restarting(solution, draw):
    """The same where saving and restarting take longer than the work between them, and most failures fall into them."""
    return {"seconds": simulated(solution, draw, 60.0, 20.0, 30.0, 50.0, 45.0)}
