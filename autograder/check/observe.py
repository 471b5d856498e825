"""What checks call to observe something: how bad input is met, and which parameters a module has."""

from collections.abc import Callable
from typing import Any


def refusal(call: Callable[[], Any]) -> str:
    """The name of the exception that the call raises, or "accepted": an observation of how bad input is met.

    A part that is not written yet refuses nothing, so NotImplementedError goes on its way.
    """
    try:
        call()
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return "accepted"


def parameter_table(module) -> dict[str, str]:
    """State-dict keys of the parameters with their shape, and the dtype if it is not the default; tied names are listed.

    Buffers are ignored: they are the student's own affair.
    """
    import torch

    odd = lambda p: "" if p.dtype is torch.get_default_dtype() else f" {p.dtype}"
    return {key: f"{tuple(p.shape)}{odd(p)}" for key, p in module.named_parameters(remove_duplicate=False)}
