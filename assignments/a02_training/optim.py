"""AdamW with decoupled weight decay, which parameters it decays, and clipping the gradient by its global norm.

Left out: AMSGrad, sparse and complex gradients, fused kernels. `torch.optim.Optimizer` keeps groups and state.
Source: Adam, arXiv:1412.6980, algorithm 1; AdamW, arXiv:1711.05101, algorithm 2; clipping: arXiv:1211.5063, algorithm 1.
"""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups for an optimiser: matrices, with this decay, and vectors (biases and norms), with decay 0.

    [{"params": […], "weight_decay": weight_decay}, {"params": […], "weight_decay": 0.0}]; parameters of two axes or more are
    matrices. Each parameter that is trained stands in one group, once, in the order of `model.parameters()`.
    """
    # TODO: two lists (handout: optim, step 1).
    # Watch: shared parameters; frozen ones (requires_grad=False).
    raise NotImplementedError("a02_training/optim.py: parameter_groups() is yours to write (handout: optim, step 1)")


class AdamW(torch.optim.Optimizer):
    """Adam with weight decay that does not pass through the gradient.

    params: parameters, or groups as of `parameter_groups`, each with its own `lr`, `betas`, `eps`, `weight_decay` where it differs
    from the ones given here. The state of a parameter is {"step": number of its updates so far, "exp_avg": m, "exp_avg_sq": v}, the
    names of PyTorch's AdamW; with it, training goes on after a pause as if there had been none. ValueError for settings out of range.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        if not (lr >= 0 and eps >= 0 and weight_decay >= 0 and all(0 <= beta < 1 for beta in betas)):
            raise ValueError(
                "needed: lr, eps, weight_decay ≥ 0 and betas in [0, 1); got "
                f"lr {lr}, betas {tuple(betas)}, eps {eps}, weight_decay {weight_decay}"
            )
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter that has a gradient; the others, and their state, stay what they are.

        The parameter p first shrinks to (1 − lr · weight_decay) · p, then moves by −lr · m̂ / (√v̂ + eps).
        """
        # TODO: the update (handout: optim, step 2).
        # Watch: each group has its own settings; the first step is number 1; update in place; leave the gradient alone.
        raise NotImplementedError("a02_training/optim.py: AdamW.step() is yours to write (handout: optim, step 2)")


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Float[Tensor, ""]:
    """Scale all gradients, in place and by one factor, so that their global norm is at most max_norm; the norm from before.

    The global norm is the 2-norm of all entries of all gradients together, in at least float32. Gradients within max_norm stay
    as they are, bit for bit. Where the norm is not finite nothing is changed, and the caller sees it. Parameters without a
    gradient are passed over. ValueError if max_norm is not positive, or if no parameter has a gradient.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients or not max_norm > 0:
        raise ValueError(f"needed: max_norm > 0 and at least one gradient; got max_norm {max_norm}, {len(gradients)} gradients")
    # TODO: the norm, and the factor where one is needed (handout: optim, step 3).
    # Watch: small gradients are not blown up; the norm of all is not the sum of the norms; float16 squares overflow.
    raise NotImplementedError("a02_training/optim.py: clip_gradients() is yours to write (handout: optim, step 3)")
