"""These are other right versions of parts of ablation.py. The tolerances allow for all of these routes."""

import statistics
from dataclasses import replace

import torch

from tools.author.cases import alternate

from .ablation import Summary, steps_to


@alternate("ablation.ablation_rows")
def rows_from_flags(config):
    """Each row from three flags."""
    flags = {"baseline": "", "norm": "n", "mlp": "m", "positions": "p", "norm + mlp": "nm", "all": "nmp"}
    return {
        row: replace(
            config,
            norm="rmsnorm" if "n" in letters else "layernorm",
            mlp="swiglu" if "m" in letters else "gelu",
            positions="rope" if "p" in letters else "learned",
        )
        for row, letters in flags.items()
    }


@alternate("ablation.steps_to")
def by_a_loop(run, target):
    """A loop that returns from its middle."""
    for i in range(len(run.losses)):
        if not run.losses[i] > target:
            return run.steps[i]
    return None


@alternate("ablation.summarise")
def row_by_row_with_dictionaries(runs, baseline="baseline"):
    """Runs by row and seed, and deviations by their formula."""
    if len(runs) == 0:
        raise ValueError("there are no runs")
    by_row: dict[str, list] = {}
    for run in runs:
        by_row.setdefault(run.row, []).append(run)
    anchors, out = {run.seed: run for run in by_row.get(baseline, [])}, []
    for row, of_row in by_row.items():
        with_anchor = [] if row == baseline else [run for run in of_row if run.seed in anchors]
        last = torch.tensor([run.losses[-1] for run in of_row], dtype=torch.float64)
        gaps = torch.tensor([run.losses[-1] - anchors[run.seed].losses[-1] for run in with_anchor], dtype=torch.float64)
        shares = []
        for run in with_anchor:
            step = steps_to(run, anchors[run.seed].losses[-1])
            shares.append(None if step is None else step / anchors[run.seed].steps[-1])
        norms = sorted(norm for run in of_row for norm in run.grad_norms)
        out.append(
            Summary(
                row=row,
                seeds=len(of_row),
                parameters=of_row[0].parameters,
                final=last.mean().item(),
                spread=last.std().item() if len(last) > 1 else None,
                difference=gaps.mean().item() if len(gaps) else None,
                difference_spread=gaps.std().item() if len(gaps) > 1 else None,
                worst=gaps.max().item() if len(gaps) else None,
                share_of_steps=tuple(shares),
                grad_norm=statistics.median(norms),
                largest_grad_norm=norms[-1],
                seconds_per_step=statistics.median([run.seconds_per_step for run in of_row]),
            )
        )
    return out
