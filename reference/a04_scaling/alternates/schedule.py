"""These are other right versions of parts of schedule.py. The tolerances allow for all of these routes."""

from tools.author.cases import alternate


@alternate("schedule.warmup_stable_decay")
def least_of_three_lines(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The rise and the fall as shares of the peak, both at most 1, and their product."""
    if warmup is None:
        warmup = int(n_steps / 10)
    if decay is None:
        decay = int(n_steps / 5)
    if not (step >= 1 and warmup >= 0 and decay >= 0 and warmup + decay <= n_steps and shape in ("linear", "sqrt")):
        raise ValueError("these phases do not fit")
    rise = min(1.0, step / warmup) if warmup else 1.0
    x = max(0.0, 1.0 - max(0, n_steps - step) / decay) if decay else float(step > n_steps)
    return peak * rise * (1.0 + (final_share - 1.0) * (x if shape == "linear" else x**0.5))


@alternate("schedule.groups")
def found_by_their_identity(model, weight_decay, exempt=("embedding", "positions")):
    """Exempt parameters are found by their identity first."""
    spared = {id(p) for name, p in model.named_parameters(remove_duplicate=False) if any(word in name for word in exempt)}
    found = [
        {"params": [], "names": [], "weight_decay": weight_decay},
        {"params": [], "names": [], "weight_decay": 0.0},
    ]
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        group = found[parameter.dim() < 2 or id(parameter) in spared]
        group["params"].append(parameter)
        group["names"].append(name)
    return found
