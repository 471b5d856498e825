"""These are wrong versions of parts of schedule.py, one mistake each. A docstring is the hint that a student reads."""

import math

from tools.author.cases import misconception


def must_fit(step, n_steps, warmup, decay, shape):
    """The argument check of `warmup_stable_decay`, and both lengths."""
    warmup = n_steps // 10 if warmup is None else warmup
    decay = n_steps // 5 if decay is None else decay
    if step < 1 or min(warmup, decay) < 0 or warmup + decay > n_steps or shape not in ("linear", "sqrt"):
        raise ValueError("no such schedule")
    return warmup, decay


def wsd(step, n_steps, peak, warmup, decay, final_share, left, rising=None):
    """The schedule with these parts: what is left of the peak at a share of the decay, and the rise."""
    if step <= warmup:
        return rising(step) if rising else peak * step / warmup
    if step <= n_steps - decay:
        return peak
    done = min(1.0, (step - (n_steps - decay)) / decay) if decay else 1.0
    return peak * (final_share + (1 - final_share) * left(done))


@misconception("schedule.warmup_stable_decay", pitfall=1, ask="Which update is the last one at the peak?")
def decay_begins_an_update_late(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The decay is counted from 0: its first update still has the peak, and the last one is not at the end yet."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    if step <= warmup:
        return peak * step / warmup
    if step <= n_steps - decay:
        return peak
    done = min(1.0, (step - 1 - (n_steps - decay)) / decay) if decay else 1.0
    return peak * (final_share + (1 - final_share) * (1 - (done if shape == "linear" else math.sqrt(done))))


@misconception("schedule.warmup_stable_decay", pitfall=1, ask="What rate has update 1?")
def first_update_stands_still(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The warm-up begins at 0, so that the first update changes nothing and the peak is reached one update late."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    left = (lambda done: 1 - done) if shape == "linear" else (lambda done: 1 - math.sqrt(done))
    return wsd(step, n_steps, peak, warmup, decay, final_share, left, rising=lambda step: peak * (step - 1) / warmup)


@misconception("schedule.warmup_stable_decay", ask="Which falls steeply at first, 1 − √x or √(1 − x)?")
def root_of_what_is_left(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The root is taken of 1 − x, so that the rate falls slowly at first and steeply at the end."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    left = (lambda done: 1 - done) if shape == "linear" else (lambda done: math.sqrt(1 - done))
    return wsd(step, n_steps, peak, warmup, decay, final_share, left)


@misconception("schedule.warmup_stable_decay", ask="What is the rate at the first update of the decay if f is 0.5?")
def cut_off_at_the_final_share(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The rate falls towards 0 and is held at the final share, instead of falling towards it."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    left = (lambda done: 1 - done) if shape == "linear" else (lambda done: 1 - math.sqrt(done))
    return max(peak * final_share, wsd(step, n_steps, peak, warmup, decay, 0.0, left)) if step > warmup else peak * step / warmup


@misconception("schedule.warmup_stable_decay", pitfall=1, ask="What is x after the end?")
def falls_on_after_the_end(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The rate goes on falling after the last update, and becomes negative."""
    warmup, decay = must_fit(step, n_steps, warmup, decay, shape)
    if step <= n_steps - decay:
        return peak * min(1.0, step / warmup) if warmup else peak
    done = (step - (n_steps - decay)) / decay if decay else 1.0
    return peak * (final_share + (1 - final_share) * (1 - (done if shape == "linear" else math.sqrt(done))))


@misconception("schedule.Scheduler.step", ask="What is the rate of update 2, after update 1 is done?")
def rate_is_an_update_late(self):
    """The rate is set before the update is counted, so that each rate is used twice or late."""
    self._set()
    self.done += 1


@misconception("schedule.Scheduler.step", ask="How many groups has an optimiser with weight decay?")
def first_group_alone(self):
    """Only the first group gets the new rate."""
    self.done += 1
    self.optimizer.param_groups[0]["lr"] = self.lr_at(self.done + 1)


@misconception("schedule.Scheduler.load_state_dict", pitfall=3, ask="What rate has the new optimiser until the first `step`?")
def rate_is_not_set_on_resuming(self, state):
    """The count is restored and the rate is not, so that the next update has the rate that the optimiser was made with."""
    self.done = state["done"]


@misconception("schedule.Scheduler.load_state_dict", pitfall=3, ask="How many updates are done, if 4 were done before the pause?")
def resumed_an_update_late(self, state):
    """The state is taken for the number of the next update, and not of those that are done."""
    self.done = state["done"] - 1
    self._set()


def two_groups(names, decays, weight_decay):
    """The groups of parameters by their names."""
    return [
        {
            "params": [parameter for parameter in names if decays(parameter) == wanted],
            "names": [names[parameter][0] for parameter in names if decays(parameter) == wanted],
            "weight_decay": weight_decay if wanted else 0.0,
        }
        for wanted in (True, False)
    ]


def names_of(model, trained_only=True):
    """All names of each parameter."""
    names = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.requires_grad or not trained_only:
            names.setdefault(parameter, []).append(name)
    return names


@misconception("schedule.groups", pitfall=4, ask="What is the second name of a tied head?")
def first_name_alone(model, weight_decay, exempt=("embedding", "positions")):
    """Only the first name of a shared parameter is looked at, so that a tied head may decay."""
    names = names_of(model)
    return two_groups(names, lambda p: p.ndim >= 2 and not any(text in names[p][0] for text in exempt), weight_decay)


@misconception("schedule.groups", pitfall=4, ask="How often is each row of an embedding trained?")
def axes_alone_decide(model, weight_decay, exempt=("embedding", "positions")):
    """All matrices decay, embeddings too: their names are not looked at."""
    return two_groups(names_of(model), lambda parameter: parameter.ndim >= 2, weight_decay)


@misconception("schedule.groups", ask="What would an optimiser do with a parameter that is never trained?")
def frozen_ones_decay_too(model, weight_decay, exempt=("embedding", "positions")):
    """Frozen parameters stand in the groups as well."""
    names = names_of(model, trained_only=False)
    return two_groups(
        names, lambda p: p.ndim >= 2 and not any(text in name for name in names[p] for text in exempt), weight_decay
    )


@misconception("schedule.groups", ask="How many axes has a kernel of a convolution?")
def two_axes_exactly(model, weight_decay, exempt=("embedding", "positions")):
    """Parameters with more than two axes do not decay."""
    names = names_of(model)
    return two_groups(
        names, lambda p: p.ndim == 2 and not any(text in name for name in names[p] for text in exempt), weight_decay
    )


@misconception("schedule.groups", ask="Which of both groups decays?")
def decay_of_the_wrong_group(model, weight_decay, exempt=("embedding", "positions")):
    """Vectors and embeddings decay, and matrices do not."""
    names = names_of(model)
    return two_groups(names, lambda p: p.ndim < 2 or any(text in name for name in names[p] for text in exempt), weight_decay)
