"""These are wrong versions of parts of checkpoint.py, one mistake each. A docstring is the hint that a student reads."""

import contextlib
import json
import math
import random
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tools.author.cases import misconception

from .checkpoint import NO_GENERATORS, _copied, _packed, _to_disk, _unpacked, random_state, restore_random_state


@misconception("checkpoint.snapshot", pitfall=3, ask="Whose tensors does state_dict() hold?")
def snapshot_holds_live_tensors(parts, generators=NO_GENERATORS):
    """The tensors of the snapshot are those of the model and the optimiser, and train along."""
    return {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "generators": {name: generator.get_state() for name, generator in generators.items()},
        "random": random_state(),
    }


@misconception("checkpoint.snapshot", pitfall=3, ask="How deep in its state does an optimiser keep its moments?")
def copies_at_the_top_alone(parts, generators=NO_GENERATORS):
    """Tensors at the top of each state are copied; those that lie deeper, as an optimiser's moments, are live."""
    clone = lambda value: value.detach().clone() if isinstance(value, torch.Tensor) else value
    return {
        "parts": {name: {key: clone(value) for key, value in part.state_dict().items()} for name, part in parts.items()},
        "generators": {name: generator.get_state() for name, generator in generators.items()},
        "random": random_state(),
    }


@misconception("checkpoint.snapshot", pitfall=1, ask="What besides the weights does the next step depend on?")
def model_alone_is_saved(parts, generators=NO_GENERATORS):
    """Only the model's state is in it; those of all other parts are empty."""
    return _copied(
        {
            "parts": {name: part.state_dict() if name == "model" else {} for name, part in parts.items()},
            "generators": {name: generator.get_state() for name, generator in generators.items()},
            "random": random_state(),
        },
        "cpu",
    )


def must_be_the_same(state, parts, generators):
    """The argument check of `restore`."""
    if parts.keys() != state["parts"].keys() or generators.keys() != state["generators"].keys():
        raise ValueError("other parts")


@misconception("checkpoint.restore", pitfall=1, ask="What do AdamW's moments start from?")
def optimiser_is_not_restored(state, parts, generators=NO_GENERATORS):
    """The optimiser starts anew: its moments are 0, and its bias correction counts from step 1."""
    must_be_the_same(state, parts, generators)
    state = _copied(state)
    for name, part in parts.items():
        if name != "optimizer":
            part.load_state_dict(state["parts"][name])
    for name, generator in generators.items():
        generator.set_state(state["generators"][name].cpu())
    restore_random_state(state["random"])


@misconception("checkpoint.restore", pitfall=2, ask="What will dropout drop next?")
def chance_is_not_restored(state, parts, generators=NO_GENERATORS):
    """What Python, NumPy and PyTorch draw next is not restored; the run goes on with other numbers."""
    must_be_the_same(state, parts, generators)
    state = _copied(state)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    for name, generator in generators.items():
        generator.set_state(state["generators"][name].cpu())


@misconception("checkpoint.restore", pitfall=2, ask="Which batches come next?")
def generators_are_not_restored(state, parts, generators=NO_GENERATORS):
    """The run's own generators are not restored, so that the same batches come again, or others."""
    must_be_the_same(state, parts, generators)
    state = _copied(state)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    restore_random_state(state["random"])


@misconception("checkpoint.restore", pitfall=3, ask="Which tensors does an optimiser keep?")
def optimiser_trains_the_snapshot(state, parts, generators=NO_GENERATORS):
    """The optimiser is given the snapshot's own tensors and keeps them, so that training on changes the snapshot."""
    must_be_the_same(state, parts, generators)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    for name, generator in generators.items():
        generator.set_state(state["generators"][name].cpu())
    restore_random_state(state["random"])


def numpy_now():
    """NumPy's state as a file can hold it."""
    now = np.random.get_state(legacy=False)
    return {**now, "state": {**now["state"], "key": torch.from_numpy(now["state"]["key"].astype(np.int64))}}


@misconception("checkpoint.random_state", pitfall=2, ask="Is the seed where the generator stands now?")
def seed_instead_of_the_state():
    """The state of PyTorch is that of its seed, at the beginning of its numbers, and not where it stands now."""
    return {
        "python": random.getstate(),
        "numpy": numpy_now(),
        "torch": torch.Generator().manual_seed(torch.initial_seed()).get_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


@misconception("checkpoint.random_state", pitfall=2, ask="What can a file of tensors hold?")
def numpy_array_in_the_state():
    """NumPy's state is left as it is, with an array in it that no file of tensors and plain values takes."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


@misconception("checkpoint.random_state", pitfall=2, ask="Where does a normal value wait that was drawn with its twin?")
def waiting_values_are_forgotten():
    """Python and NumPy draw normal values two at a time; the one that waits is not part of the state."""
    version, key, _ = random.getstate()
    return {
        "python": (version, key, None),
        "numpy": numpy_now() | {"has_gauss": 0, "gauss": 0.0},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


@misconception("checkpoint.random_state", pitfall=2, ask="What comes next, after you have looked?")
def looking_draws_a_number():
    """A number is drawn from each source and kept as a seed, which changes what comes next."""
    return {
        "python": random.Random(random.random()).getstate(),
        "numpy": numpy_now(),
        "torch": torch.Generator().manual_seed(int(torch.randint(2**31, ()))).get_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


def numpy_back(state):
    """Put NumPy's state back."""
    inner = state["numpy"]["state"]
    np.random.set_state({**state["numpy"], "state": {**inner, "key": inner["key"].cpu().numpy().astype(np.uint32)}})


@misconception("checkpoint.restore_random_state", pitfall=2, ask="Who draws with NumPy?")
def numpy_is_left_alone(state):
    """NumPy's state is not put back."""
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"].cpu())


@misconception("checkpoint.restore_random_state", pitfall=2, ask="Who draws with Python's random?")
def python_is_left_alone(state):
    """Python's state is not put back."""
    numpy_back(state)
    torch.set_rng_state(state["torch"].cpu())


@misconception("checkpoint.restore_random_state", pitfall=2, ask="Who draws with PyTorch's default generator?")
def torch_is_left_alone(state):
    """PyTorch's state is not put back."""
    random.setstate(state["python"])
    numpy_back(state)


def header_of(state, tensors):
    """The header of a checkpoint."""
    return {"format": "training checkpoint, 1", "tree": json.dumps(_packed(state, tensors))}


@misconception("checkpoint.write", pitfall=4, ask="What is in the file while it is being written?")
def written_over_the_old_one(path, state):
    """The new file is written over the old one, which is lost when the process is killed half-way."""
    tensors = {}
    header = header_of(state, tensors)
    data = safetensors.torch.save(tensors, header)
    with Path(path).open("wb") as file:
        file.write(data)
    _to_disk(Path(path))


@misconception("checkpoint.write", pitfall=4, ask="What does `path` lead to between the two calls?")
def old_one_is_removed_first(path, state):
    """The old file is removed before the new one takes its name, and for a moment there is none."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    _to_disk(part)
    path.unlink(missing_ok=True)
    part.rename(path)
    _to_disk(path.parent)


@misconception("checkpoint.write", pitfall=4, ask="What does a move from one disk to another do?")
def written_in_another_folder(path, state):
    """The new file is written elsewhere and moved, which between two file systems is a copy that can be cut short."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = Path("checkpoint.tmp")
    save_file(tensors, part, header)
    _to_disk(part)
    part.replace(path)
    _to_disk(path.parent)


@misconception("checkpoint.write", pitfall=5, ask="Where are the bytes when `save_file` returns?")
def not_synced(path, state):
    """Nothing is synced: after a power failure the new name may lead to an empty file."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    part.replace(path)


@misconception("checkpoint.write", pitfall=5, ask="What makes the new name last?")
def folder_is_not_synced(path, state):
    """The file is synced and the folder is not, so that after a power failure the name may be the old one's or gone."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    _to_disk(part)
    part.replace(path)


@misconception("checkpoint.write", pitfall=5, ask="Which comes first, the bytes or the name?")
def synced_after_the_name(path, state):
    """The file is synced after it has its name, when the old one is already gone."""
    path, tensors = Path(path), {}
    header = header_of(state, tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    part.replace(path)
    _to_disk(path)
    _to_disk(path.parent)


def plain_keys(tree):
    """A tree as JSON would have it: keys are texts, tuples are lists."""
    if isinstance(tree, dict):
        return {str(key): plain_keys(value) for key, value in tree.items()}
    return [plain_keys(value) for value in tree] if isinstance(tree, list | tuple) else tree


@misconception("checkpoint.write", pitfall=7, ask="What does JSON make of {0: 1} and (1, 2)?")
def keys_become_texts(path, state):
    """The tree is what JSON makes of it: numbers as keys become texts, and tuples lists."""
    path, tensors = Path(path), {}
    header = header_of(plain_keys(state), tensors)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, header)
    _to_disk(part)
    part.replace(path)
    _to_disk(path.parent)


@misconception("checkpoint.read", ask="Which error does the caller of a training script wait for?")
def library_errors_come_through(path, map_location="cpu"):
    """Faults of the file come out as errors of the library, which no caller waits for."""
    with safe_open(path, framework="pt", device=str(map_location)) as file:
        header = file.metadata() or {}
        if header.get("format") != "training checkpoint, 1":
            raise ValueError("not ours")
        return _unpacked(json.loads(header["tree"]), file.get_tensor)


@misconception("checkpoint.read", ask="Is every safetensors file a checkpoint?")
def format_is_not_looked_at(path, map_location="cpu"):
    """It is not asked whether a safetensors file is one of ours: those of others end in an error of another kind, or in nonsense."""
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            return _unpacked(json.loads(file.metadata()["tree"]), file.get_tensor)
    except SafetensorError as error:
        raise ValueError(f"{path} is broken") from error


@misconception("checkpoint.read", ask="What can a pickle do when it is loaded?")
def pickles_are_loaded_too(path, map_location="cpu"):
    """What is no safetensors file is loaded with pickle, which runs whatever stands in it."""
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            header = file.metadata() or {}
            if header.get("format") != "training checkpoint, 1":
                raise ValueError("not ours")
            return _unpacked(json.loads(header["tree"]), file.get_tensor)
    except SafetensorError as error:
        with contextlib.suppress(Exception):
            torch.load(path, map_location=map_location, weights_only=False)
        raise ValueError(f"{path} is broken") from error


@misconception("checkpoint.read", ask="Is a file that is not there a broken one?")
def missing_file_is_a_value_error(path, map_location="cpu"):
    """A file that is not there is reported as a broken one."""
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            header = file.metadata() or {}
            if header.get("format") != "training checkpoint, 1":
                raise ValueError("not ours")
            return _unpacked(json.loads(header["tree"]), file.get_tensor)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is broken") from error


def must_be_positive(save, mean):
    """The argument check of `young_interval`."""
    if not (save > 0 and mean > 0):
        raise ValueError("both times must be positive")


@misconception("checkpoint.young_interval", ask="What is the derivative of C/T + T/(2M)?")
def half_is_forgotten(save, mean_time_between_failures):
    """The 2 is missing: a failure costs half an interval on average, not a whole one."""
    must_be_positive(save, mean_time_between_failures)
    return math.sqrt(save * mean_time_between_failures)


@misconception("checkpoint.young_interval", ask="In which unit is the product of two times?")
def root_is_forgotten(save, mean_time_between_failures):
    """The root is missing."""
    must_be_positive(save, mean_time_between_failures)
    return 2 * save * mean_time_between_failures


@misconception("checkpoint.expected_seconds", pitfall=9, ask="What does a failure cost besides the work that is lost?")
def restart_is_free(work, interval, save, restart, mean_time_between_failures):
    """The time of restarts is left out."""
    mean = mean_time_between_failures
    return work / interval * mean * math.expm1((interval + save) / mean)


@misconception("checkpoint.expected_seconds", pitfall=9, ask="Can a failure come while the checkpoint is being written?")
def saving_cannot_fail(work, interval, save, restart, mean_time_between_failures):
    """Failures come while working alone; saving is added on top, as if none could come then."""
    mean = mean_time_between_failures
    return work / interval * (mean * math.exp(restart / mean) * math.expm1(interval / mean) + save)


@misconception("checkpoint.expected_seconds", pitfall=9, ask="Can a failure come while restarting?")
def restarting_cannot_fail(work, interval, save, restart, mean_time_between_failures):
    """Each failure costs one restart, in which nothing can fail."""
    mean = mean_time_between_failures
    return work / interval * (mean + restart) * math.expm1((interval + save) / mean)


@misconception("checkpoint.expected_seconds", pitfall=9, ask="What is left of Daly's formula to second order in 1/M?")
def youngs_sum(work, interval, save, restart, mean_time_between_failures):
    """Young's sum, which holds where failures are rare: half an interval and a restart for each of them."""
    segment = interval + save
    return work / interval * (segment + segment / mean_time_between_failures * (segment / 2 + restart))


@misconception("checkpoint.expected_seconds", ask="How many digits of e^x − 1 are left, if x is 10⁻¹²?")
def digits_are_lost(work, interval, save, restart, mean_time_between_failures):
    """exp(x) − 1 loses its digits where failures are rare, which is what math.expm1 is for."""
    mean = mean_time_between_failures
    return work / interval * mean * math.exp(restart / mean) * (math.exp((interval + save) / mean) - 1)


def to_failure(mean, generator):
    """Seconds to the next failure."""
    return -mean * math.log1p(-torch.rand((), generator=generator, dtype=torch.float64).item())


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="What is lost if the failure comes while saving?")
def failures_spare_the_saving(work, interval, save, restart, mean_time_between_failures, generator):
    """A failure while saving costs nothing: the interval before it counts as saved."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    pending = interval
    while segments:
        if failure < pending:
            clock += failure
            pending, failure = restart + interval, to_failure(mean_time_between_failures, generator)
        else:
            clock, failure = clock + pending + save, failure - pending
            segments, pending = segments - 1, interval
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="Can a failure come while restarting?")
def failures_spare_the_restart(work, interval, save, restart, mean_time_between_failures, generator):
    """No failure comes while restarting."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    while segments:
        if failure < interval + save:
            clock, failure = clock + failure + restart, to_failure(mean_time_between_failures, generator)
        else:
            clock, failure, segments = clock + interval + save, failure - interval - save, segments - 1
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="What is done again after a failure?")
def nothing_is_lost(work, interval, save, restart, mean_time_between_failures, generator):
    """A failure costs the restart alone: the work since the last checkpoint is not done again."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    pending = interval + save
    while segments:
        if failure < pending:
            clock, pending = clock + failure, pending - failure + restart
            failure = to_failure(mean_time_between_failures, generator)
        else:
            clock, failure = clock + pending, failure - pending
            segments, pending = segments - 1, interval + save
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="How far back does a failure throw the run?")
def everything_is_lost(work, interval, save, restart, mean_time_between_failures, generator):
    """A failure throws the run back to its beginning, as if there were no checkpoints."""
    clock, segments, failure = 0.0, round(work / interval), to_failure(mean_time_between_failures, generator)
    pending = interval + save
    done = 0
    while done < segments and clock < 1e4 * work:
        if failure < pending:
            clock, done = clock + failure, 0
            pending, failure = restart + interval + save, to_failure(mean_time_between_failures, generator)
        else:
            clock, failure = clock + pending, failure - pending
            done, pending = done + 1, interval + save
    return clock


@misconception("checkpoint.simulated_seconds", pitfall=9, ask="Do failures come like trains?")
def failures_come_regularly(work, interval, save, restart, mean_time_between_failures, generator):
    """Times between failures are spread evenly around their mean, where short ones should be the most frequent."""
    draw = lambda: 2 * mean_time_between_failures * torch.rand((), generator=generator, dtype=torch.float64).item()
    clock, segments, failure = 0.0, round(work / interval), draw()
    pending = interval + save
    while segments:
        if failure < pending:
            clock += failure
            pending, failure = restart + interval + save, draw()
        else:
            clock, failure = clock + pending, failure - pending
            segments, pending = segments - 1, interval + save
    return clock
