"""What checks call to observe something: how bad input is met, and which parameters a module has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the parent has no torch
    from torch import nn


def refusal(call: Callable[[], object]) -> str:
    """The name of the exception that the call raises, or "accepted": an observation of how bad input is met.

    NotImplementedError: goes on its way, because a part that is not written yet refuses nothing.
    """
    try:
        call()
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return "accepted"


def parameter_table(module: nn.Module) -> dict[str, str]:
    """State-dict keys of the parameters with their shape, and with their dtype if it is not the default. Tied names are listed.

    Buffers are ignored. They are the student's own affair.
    """
    import torch

    dtype = lambda parameter: "" if parameter.dtype is torch.get_default_dtype() else f" {parameter.dtype}"
    return {key: f"{tuple(p.shape)}{dtype(p)}" for key, p in module.named_parameters(remove_duplicate=False)}
