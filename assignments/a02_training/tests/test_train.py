"""Checks of train.py."""

import contextlib
import io
import json
import math
import pickle
from pathlib import Path

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import keeps_pace, limits, matches_reference, needs, on_device, part, refusal, same, satisfies, trains_to

LOSS = ("loss.next_token_loss",)
STEP = (*LOSS, "optim.clip_gradients")
EVALUATE = (*LOSS, "train.evaluating")
LOOP = (
    *STEP,
    *("optim.parameter_groups", "optim.AdamW", "schedule.learning_rate"),
    *("train.evaluating", "train.evaluate", "train.training_step", "train.overfits"),
    *("train.save_checkpoint", "train.load_checkpoint"),
)
IGNORE = -100


def gpt(draw, **rest):
    """A small model with known parameters."""
    from given.a01_transformer.model import GPT, GPTConfig

    return draw.fill_(GPT(GPTConfig(**{"vocab_size": 11, "n_positions": 8, "d_model": 8, "n_heads": 2, "n_layers": 1} | rest)))


def batches(draw, count, batch_size=3, seq_len=6):
    """Batches of one shape."""
    return [(draw.integers(0, 11, batch_size, seq_len), draw.integers(0, 11, batch_size, seq_len)) for _ in range(count)]


def flat(model):
    """All parameters, one behind the other."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def course(history):
    """What a training run records, as numbers; steps without validation are left out of that column."""
    table = torch.tensor([[r.loss, r.lr, r.gradient_norm] for r in history], dtype=torch.float64)
    measured = [(r.step, r.validation) for r in history if r.validation is not None]
    return {
        "steps": [r.step for r in history],
        "loss, lr, norm": table.to(torch.get_default_dtype()),
        "measured at": [step for step, _ in measured],
        "validation": [loss for _, loss in measured],
    }


@part("train.evaluating")
@weight(2)
@matches_reference
def test_every_submodule_gets_its_mode_back(solution, draw):
    """Inside, the whole model is in evaluation mode; afterwards each part is as it was, also after an error."""
    model = gpt(draw, n_layers=2).train()
    model.blocks[0].eval()
    modes = lambda: [model.training, model.blocks[0].training, model.blocks[0].mlp.training, model.blocks[1].mlp.training]
    with solution.train.evaluating(model):
        inside = modes()
    afterwards = modes()
    with contextlib.suppress(KeyError), solution.train.evaluating(model):
        raise KeyError
    after_error = modes()
    model.eval()
    with solution.train.evaluating(model):
        pass
    in_evaluation = modes()
    for module, training in zip(model.modules(), draw.bernoulli(0.5, 100).tolist(), strict=False):
        module.training = training
    with solution.train.evaluating(model):
        pass
    return {
        "inside": inside,
        "afterwards": afterwards,
        "after an error": after_error,
        "of one in evaluation": in_evaluation,
        "of a mixed one": [module.training for module in model.modules()],
    }


@part("train.evaluate")
@needs(*EVALUATE)
@weight(2)
@matches_reference
def test_every_target_counts_alike(solution, draw):
    """The mean is over all targets of all batches, however many of them each batch has."""
    model, parts = gpt(draw), batches(draw, 3)
    parts[1] = (parts[1][0], parts[1][1].index_fill(1, torch.arange(1, 6), IGNORE))
    parts[2] = (parts[2][0][:1, :2], parts[2][1][:1, :2])
    return {"three": solution.train.evaluate(model, iter(parts)), "first": solution.train.evaluate(model, parts[:1])}


@part("train.evaluate")
@needs(*EVALUATE)
@weight(2)
@matches_reference
def test_evaluation_leaves_no_trace(solution, draw):
    """Dropout is off, no gradient is recorded, the model goes on training; without a batch it is a ValueError."""
    model, (first, *_) = gpt(draw, dropout=0.5).train(), batches(draw, 1)
    watched = []
    model.register_forward_hook(lambda module, inputs, logits: watched.append(logits.requires_grad))
    before = torch.get_rng_state()
    return {
        "loss": solution.train.evaluate(model, [first]),
        "type": type(solution.train.evaluate(model, [first])).__name__,
        "gradients recorded": any(watched),
        "still in training": model.training,
        "random state untouched": torch.equal(before, torch.get_rng_state()),
        "no batch": refusal(lambda: solution.train.evaluate(model, [])),
    }


@part("train.training_step")
@needs(*STEP)
@weight(2)
@matches_reference
def test_a_step_is_loss_gradient_clip_and_update(solution, draw):
    """Loss and norm are those before the update, which clips the gradient and takes the rate of this step in every group."""
    model, (batch,) = gpt(draw), batches(draw, 1)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.SGD([{"params": matrices}, {"params": vectors}], lr=9.0)
    loss, norm = solution.train.training_step(model, optimizer, batch, 0.5, 0.1)
    free = solution.train.training_step(model, optimizer, batch, 0.01, 1e6)
    return {
        "loss": loss,
        "norm": norm,
        "weights": flat(model),
        "second": free,
        "rates": [g["lr"] for g in optimizer.param_groups],
    }


@part("train.training_step")
@needs(*STEP)
@weight(1)
@matches_reference
def test_gradients_of_earlier_steps_are_cleared(solution, draw):
    """A gradient that is still there from before takes no part, and three steps in a row do not add up."""
    model, several = gpt(draw), batches(draw, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(several[0][0]).square().sum().backward()
    taken = [solution.train.training_step(model, optimizer, batch, 0.02, 50.0) for batch in several]
    return {"losses": [loss for loss, _ in taken], "norms": [norm for _, norm in taken], "weights": flat(model)}


@part("train.training_step")
@needs(*STEP)
@weight(1)
@matches_reference
def test_a_step_that_is_not_finite_updates_nothing(solution, draw):
    """A loss or a gradient that is infinite or NaN is returned, and the model stays as it was."""
    model, (batch,) = gpt(draw), batches(draw, 1)
    optimizer, before = torch.optim.SGD(model.parameters(), lr=0.1), flat(model)
    steep = model.register_forward_hook(lambda module, inputs, logits: logits * math.inf)
    broken = solution.train.training_step(model, optimizer, batch, 0.1, 1.0)
    kept = torch.equal(flat(model), before)
    steep.remove()
    model.norm.weight.register_hook(lambda gradient: gradient * math.inf)
    loss, norm = solution.train.training_step(model, optimizer, batch, 0.1, 1.0)
    finite = [math.isfinite(number) for number in (*broken, norm)]
    return {"kept": kept, "finite": finite, "loss": loss, "weights": flat(model)}


@part("train.overfits")
@weight(2)
@matches_reference
def test_overfitting_is_a_run_of_bad_validations(solution, draw):
    """True when each of the last `patience` losses is no better than the best one before them, and not before."""
    overfits = solution.train.overfits
    courses = {
        "still better": [3.0, 2.0, 1.0],
        "one bad": [3.0, 1.0, 2.0],
        "two bad": [3.0, 1.0, 2.0, 1.5],
        "equal": [1.0, 1.0, 1.0],
        "better again": [2.0, 3.0, 4.0, 1.9],
        "between": [1.0, 3.0, 2.0],
        "long ago": [1.0, 5.0, 4.0, 3.0, 2.0],
        "too few": [1.0, 2.0],
        "none": [],
    }
    courses |= {f"drawn {n}": [float(loss) for loss in draw.integers(0, 6, 5)] for n in range(8)}
    answers = {name: [bool(overfits(losses, patience)) for patience in (1, 2, 3)] for name, losses in courses.items()}
    return answers | {"no patience": refusal(lambda: overfits([1.0, 2.0], 0))}


def started(solution, draw):
    """A model with dropout, an optimiser with a memory, a generator, and a history, all of them under way."""
    model = gpt(draw, dropout=0.3)
    optimizer, generator = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), torch.Generator().manual_seed(4)
    return model, optimizer, generator, [solution.train.Record(1, 2.5, 0.1, 0.75), solution.train.Record(2, 2.0, 0.2, 0.5, 2.25)]


def go_on(model, optimizer, generator):
    """Two steps that depend on everything there is: parameters, memory of the optimiser, batches, dropout."""
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randint(11, (2, 6), generator=generator)).square().mean().backward()
        optimizer.step()
    return flat(model)


@part("train.save_checkpoint")
@weight(2)
@matches_reference
def test_a_checkpoint_holds_all_that_the_next_step_depends_on(solution, draw):
    """What goes on from the file goes the same way, to the last bit: batches, dropout and running means included."""
    model, optimizer, generator, history = started(solution, draw)
    torch.default_generator.manual_seed(1)  # after building the model, which draws more random numbers in float64
    go_on(model, optimizer, generator)
    solution.train.save_checkpoint("here.pt", model, optimizer, generator, history)
    expected = go_on(model, optimizer, generator)
    again = started(solution, draw)
    torch.default_generator.manual_seed(77)
    solution.train.load_checkpoint("here.pt", *again[:3])
    reached = go_on(*again[:3])
    return {"weights": reached, "bit for bit": torch.equal(reached, expected), "files": sorted(p.name for p in Path().iterdir())}


class Danger:
    """Something that runs code when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("code_was_run"),)


@part("train.load_checkpoint")
@weight(2)
@matches_reference
def test_a_checkpoint_comes_back_without_running_code(solution, draw):
    """The history comes back as records, everything else in place; code in a file from elsewhere is not run."""
    model, optimizer, generator, history = started(solution, draw)
    torch.default_generator.manual_seed(1)
    go_on(model, optimizer, generator)
    saved, address = flat(model), next(model.parameters()).data_ptr()
    solution.train.save_checkpoint(Path("here.pt"), model, optimizer, generator, history)
    go_on(model, optimizer, generator)
    loaded = solution.train.load_checkpoint(Path("here.pt"), model, optimizer, generator)
    torch.save({"model": Danger(), "history": Danger()}, "danger.pt", pickle_module=pickle)
    with contextlib.suppress(Exception):
        solution.train.load_checkpoint("danger.pt", model, optimizer, generator)
    return {
        "history": [[r.step, r.loss, r.lr, r.gradient_norm, r.validation] for r in loaded],
        "weights": flat(model),
        "as saved": torch.equal(flat(model), saved),
        "in place": next(model.parameters()).data_ptr() == address,
        "code was run": Path("code_was_run").exists(),
    }


def windows(generator):
    """Random batches, drawn by the check itself."""
    tokens = torch.randint(11, (3, 7), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


def config(solution, **rest):
    """A short run whose clipping bites in some steps and not in others."""
    return solution.train.TrainConfig(**{"steps": 7, "peak_lr": 0.05, "warmup": 2, "clip": 1.2} | rest)


@part("train.train")
@needs(*LOOP)
@weight(1)
@matches_reference
def test_loop_takes_each_step_of_the_schedule(solution, draw):
    """Each step takes one batch and its own rate, and is recorded; parameters end where the reference's do."""
    model, several = gpt(draw, bias=False), batches(draw, 7)  # a key's bias has no gradient but noise, and AdamW no eye for size
    history = solution.train.train(model, lambda generator: several.pop(0), config(solution))
    again = gpt(draw, bias=False)
    solution.train.train(again, windows, config(solution, steps=2))  # its batches are those of a generator of seed 0
    return course(history) | {"weights": flat(model), "batches left": len(several), "with its own generator": flat(again)}


@part("train.train")
@needs(*LOOP)
@weight(1)
@matches_reference
def test_validation_comes_when_it_is_due(solution, draw):
    """Every evaluate_every steps and after the last one; in between the model trains on, with dropout."""
    model, (held_out, *several), modes = gpt(draw, dropout=0.4).eval(), batches(draw, 8), []

    def next_batch(generator):
        modes.append(model.training)
        return several.pop(0)

    history = solution.train.train(model, next_batch, config(solution, peak_lr=1e-4, evaluate_every=3), [held_out])
    plain = solution.train.train(gpt(draw), windows, config(solution, steps=2, evaluate_every=1))
    return {
        "measured at": [record.step for record in history if record.validation is not None],
        "in training at each batch": all(modes),
        "batches": len(modes),
        "without validation": [record.validation for record in plain],
    }


@part("train.train")
@needs(*LOOP)
@weight(1)
@matches_reference
def test_loop_ends_early(solution, draw):
    """It ends when the validation losses say that the model overfits, and after a step that is not finite."""
    batch = (draw.integers(0, 11, 2, 6), torch.full((2, 6), 3))
    against = (batch[0], torch.full((2, 6), 5))  # the better the one is learnt, the worse the other
    stop = {"steps": 30, "peak_lr": 0.01, "evaluate_every": 2}
    overfitting = solution.train.train(gpt(draw), lambda generator: batch, config(solution, **stop, patience=2), [against])
    patient = solution.train.train(gpt(draw), lambda generator: batch, config(solution, **stop | {"steps": 12}), [against])
    broken, calls = gpt(draw, bias=False), []

    def breaks_at_the_third(generator):
        calls.append(0)
        if len(calls) == 3:
            broken.register_forward_hook(lambda module, inputs, logits: logits * math.nan)
        return batch

    history = solution.train.train(broken, breaks_at_the_third, config(solution))
    return {
        "overfitting": len(overfitting),
        "without patience": len(patient),
        "not finite": [math.isfinite(record.loss) for record in history],
        "kept": flat(broken),
    }


@part("train.train")
@needs(*LOOP)
@weight(1)
@matches_reference
def test_a_run_is_written_down(solution, draw):
    """The metrics file has a line of JSON for each step; a checkpoint comes when it is due, the last one at the end."""
    several = batches(draw, 9)
    rest = {"metrics": "metrics.jsonl", "checkpoint": "run.pt", "checkpoint_every": 3, "evaluate_every": 4}
    model, pending, there = gpt(draw), list(several), []

    def next_batch(generator):
        there.append(Path("run.pt").exists())
        return pending.pop(0)

    solution.train.train(model, next_batch, config(solution, **rest), several[:1])
    lines = [json.loads(line) for line in Path("metrics.jsonl").read_text().splitlines()]
    done, nothing = gpt(draw), []
    history = solution.train.train(done, lambda generator: nothing.append(0), config(solution, **rest), several[:1], resume=True)
    return {
        "lines": [{key: line[key] for key in ("step", "loss", "lr", "gradient_norm", "validation")} for line in lines],
        "checkpoint is there": there,
        "resumed when done": len(history),
        "batches taken": len(nothing),
        "same weights": torch.equal(flat(done), flat(model)),
    }


@part("train.train")
@needs(*LOOP)
@weight(0.5)
@matches_reference
def test_progress_is_shown_when_it_is_asked_for(solution, draw):
    """With `progress` the standard error stream tells the steps that are done and how many there are, without it nothing."""
    shown = {}
    for wanted in (True, False):
        with contextlib.redirect_stderr(io.StringIO()) as stream:
            solution.train.train(gpt(draw), windows, config(solution, evaluate_every=3, progress=wanted), batches(draw, 1))
        shown[f"progress {wanted}"] = [step in stream.getvalue() for step in ("3/7", "6/7", "7/7")]
    return shown


class PowerCut(Exception):
    """Ends a run in the middle."""


@part("train.train")
@needs(*LOOP)
@weight(1)
@satisfies(same("resumed", "through"))
def test_a_resumed_run_is_the_run_without_a_pause(solution, draw):
    """A run that breaks off and is resumed from its last checkpoint ends bit for bit where the whole one does."""
    validation = batches(draw, 1)

    def run(name, seed, break_at=0, **rest):
        model, calls = gpt(draw, dropout=0.2, bias=False), []
        torch.default_generator.manual_seed(seed)

        def next_batch(generator):
            calls.append(0)
            if len(calls) == break_at:
                raise PowerCut
            return windows(generator)

        files = {"checkpoint": f"{name}.pt", "checkpoint_every": 3, "metrics": f"{name}.jsonl", "evaluate_every": 2}
        history = None
        with contextlib.suppress(PowerCut):
            generator = torch.Generator().manual_seed(8 if break_at or name == "whole" else 123)
            history = solution.train.train(model, next_batch, config(solution, **files), validation, generator, **rest)
        return flat(model), history

    whole, history = run("whole", 5)
    run("parts", 5, break_at=6, resume=True)  # nothing to resume yet; a checkpoint after 3 steps, lines for 5
    parts, resumed = run("parts", 6, resume=True)
    lines = [Path(f"{name}.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    return {
        "resumed": parts,
        "through": whole,
        "bit for bit": torch.equal(whole, parts),
        "same history": resumed == history,
        "steps": [record.step for record in resumed],
        "lines": [len(each) for each in lines],
        "same lines": lines[0] == lines[1],
    }


@part("train.training_step")
@needs(*STEP, "optim.AdamW", "optim.parameter_groups")
@weight(1)
@keeps_pace(full=3.0, none=6.0, repeats=15)
def test_a_step_keeps_pace(solution, draw):
    """A step with 512 tokens to choose from takes about as long as with PyTorch's own loss, clipping and AdamW."""
    model = draw.fill_(nn.Sequential(nn.Embedding(512, 64), nn.Linear(64, 512)))
    optimizer = solution.optim.AdamW(solution.optim.parameter_groups(model, 0.1), lr=1e-3)
    yield
    while True:
        batch = draw.integers(0, 512, 16, 64).cpu(), draw.integers(0, 512, 16, 64).cpu()  # wherever the model is
        loss, norm = solution.train.training_step(model, optimizer, batch, 1e-3, 1.0)
        yield {"loss": loss, "norm": norm}


@part("train.training_step")
@needs(*STEP, "optim.AdamW", "optim.parameter_groups")
@on_device("cuda")
@weight(1)
@keeps_pace(full=4.0, none=10.0, repeats=9)
def test_a_step_keeps_pace_on_cuda(solution, draw):
    """Batches come to the model on a CUDA device, and a step takes a few times as long as with PyTorch's own parts."""
    yield from test_a_step_keeps_pace(solution, draw)


@part("train.training_step")
@needs(*STEP, "optim.AdamW", "optim.parameter_groups")
@on_device("mps")
@weight(1)
@keeps_pace(full=4.0, none=10.0, repeats=9)
def test_a_step_keeps_pace_on_mps(solution, draw):
    """Batches come to the model on Apple's GPU, and a step takes a few times as long as with PyTorch's own parts."""
    yield from test_a_step_keeps_pace(solution, draw)


def tales_model():
    """The model of both training checks: of a01, with an initialisation that fits its width."""
    from given.a01_transformer.model import GPT, GPTConfig

    return GPT(GPTConfig(vocab_size=256, n_positions=145, d_model=64, n_heads=4, n_layers=2, init_std=0.07))


def what_follows(solution, draw, state, prefixes):
    """Log-probabilities of the next byte, each tale read from its start behind the line end of the one before."""
    model = tales_model()
    model.load_state_dict(state)
    log_probs = torch.zeros(len(prefixes), 256)
    order = sorted(range(len(prefixes)), key=lambda index: len(prefixes[index]))
    with torch.no_grad():
        for indices in (order[i : i + 64] for i in range(0, len(order), 64)):
            sequences = [torch.tensor([10, *prefixes[index]]) for index in indices]
            logits = model.eval()(nn.utils.rnn.pad_sequence(sequences, batch_first=True))
            last = torch.tensor([len(sequence) - 1 for sequence in sequences])
            log_probs[indices] = logits[torch.arange(len(indices)), last].log_softmax(-1)
    return {"log_probs": log_probs}


@part("train.train")
@needs("data.save_tokens", "data.open_tokens", "data.random_batch", *LOOP)
@weight(2.5)
@limits(seconds=120)
@trains_to(what_follows, share=0.93, corpus={"tales": {"seed": 2, "size": 600_000, "held_out": 60_000}})
def test_model_learns_to_tell_tales(solution, draw, text):
    """In 400 steps your data, loss, optimiser and schedule bring a small model 93 % of the way to the best there is."""
    solution.data.save_tokens("tales.npy", list(text), 256)
    tokens, model = solution.data.open_tokens("tales.npy"), tales_model()
    history = solution.train.train(
        model,
        lambda generator: solution.data.random_batch(tokens, 8, 145, generator),
        solution.train.TrainConfig(steps=400),
        generator=torch.Generator().manual_seed(draw.seed),
    )
    records = [[record.step, record.loss, record.gradient_norm] for record in history]
    return {"state": model.state_dict(), "history": torch.tensor(records)}
