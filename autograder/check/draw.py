"""Inputs of a check: seeded numbers that are the same on every platform and version.

The streams are NumPy's `RandomState`, which never changes any more. In an exact run (`exact=True`) every float32 number is
handed out as the float64 of the same value, so that the two runs differ by rounding alone. Nothing is decided here.
"""

import functools
import hashlib
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.random  # NumPy imports it when it is first used, which would be in every worker
import torch
from torch import Tensor, nn


def stream_digest() -> str:
    """SHA-256 of the first draws of a known seed. The parent compares it before anything is graded."""
    stream = np.random.RandomState(20170612)
    first = stream.standard_normal(64).astype(np.float32).tobytes() + stream.randint(0, 1 << 30, 64).tobytes()
    return hashlib.sha256(first).hexdigest()[:16]


class Draw:
    """What a check gets as `draw`: tensors from a seed, known parameters, and a seeded backward pass.

    seed: the same whole number gives the same inputs.
    exact: hand float32 values out as float64.
    device: where the tensors lie.
    """

    def __init__(self, seed: int, exact: bool = False, device: str = "cpu"):
        self.seed, self.exact, self.device = seed, exact, device
        self._stream = np.random.RandomState(seed)
        self._inputs: list[Tensor] = []
        self._modules: list[tuple[str, nn.Module]] = []

    def normal(self, *shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal numbers times `scale`."""
        return self._hand_out(self._stream.standard_normal(shape) * scale, dtype)

    def uniform(self, low: float, high: float, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers spread evenly over [low, high)."""
        return self._hand_out(self._stream.uniform(low, high, shape), dtype)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """int64 numbers in [low, high)."""
        return self._hand_out(self._stream.randint(low, high, shape, dtype=np.int64), torch.int64)

    def bernoulli(self, p: float, *shape: int) -> Tensor:
        """Booleans that are True with probability `p`."""
        return self._hand_out(self._stream.random_sample(shape) < p, torch.bool)

    def tensor(self, values: object, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers chosen by hand, watched and cast like the drawn ones."""
        return self._hand_out(np.asarray(values), dtype)

    def fill_(self, module: nn.Module) -> nn.Module:
        """The module, with known values in its parameters. They depend on the state-dict key; a shared parameter has its first.

        Matrices get N(0, 1/fan_in), vectors N(0.5, 0.3²), so that neither a weight nor a bias is trivial.
        """
        with torch.no_grad():
            for key, parameter in module.named_parameters():
                stream = np.random.RandomState((zlib.crc32(key.encode()) + self.seed) & 0xFFFFFFFF)
                values = stream.standard_normal(tuple(parameter.shape))
                values = values / np.sqrt(parameter.shape[-1]) if parameter.ndim > 1 else 0.5 + 0.3 * values
                parameter.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))
        self._modules.append((f"{len(self._modules)}." if self._modules else "", module))
        return module

    def backward(self, *outputs: Tensor) -> dict[str, Tensor | None]:
        """Gradients of every drawn input that asks for one and of every filled parameter.

        It is a seeded vector-Jacobian product: each output is multiplied by a drawn cotangent of its shape. A quantity that
        the outputs do not depend on has the gradient None.
        TypeError: an output is no tensor.
        """
        for output in outputs:
            if not isinstance(output, Tensor):
                raise TypeError(f"a tensor was expected as the result, got {type(output).__name__}")
        names, sources = self._sources()
        cotangents = [self._cast(self._stream.standard_normal(tuple(y.shape)), torch.float32).to(y) for y in outputs]
        live = [(y, cotangent) for y, cotangent in zip(outputs, cotangents, strict=True) if y.requires_grad]
        gradients: Sequence[Tensor | None] = [None] * len(sources)
        if live and sources:
            # A sum, because torch imports sympy (0.3 s in every worker) as soon as cotangents are handed in.
            product = functools.reduce(torch.add, [(y * cotangent).sum() for y, cotangent in live])
            gradients = torch.autograd.grad(product, sources, allow_unused=True)
        return dict(zip(names, gradients, strict=True))

    def _sources(self) -> tuple[list[str], list[Tensor]]:
        """What has a gradient, with its name: drawn inputs first, then filled parameters."""
        inputs = [(f"input {number}", x) for number, x in enumerate(self._inputs)]
        parameters = [(prefix + key, p) for prefix, module in self._modules for key, p in module.named_parameters()]
        named = [(name, x) for name, x in (*inputs, *parameters) if x.requires_grad]
        return [name for name, _ in named], [x for _, x in named]

    def input_digests(self) -> list[str]:
        """A short digest of each drawn input as it is now. It has changed if the input was overwritten."""
        return [_digest(x) for x in self._inputs]

    def _hand_out(self, values: np.ndarray, dtype: torch.dtype) -> Tensor:
        tensor = self._cast(values, dtype)
        self._inputs.append(tensor)
        return tensor

    def _cast(self, values: np.ndarray, dtype: torch.dtype) -> Tensor:
        tensor = torch.from_numpy(np.array(values)).to(dtype)  # np.array: also a number becomes an array of no axes
        if self.exact and dtype.is_floating_point:
            tensor = tensor.to(torch.float64)
        return tensor.to(self.device)


def _digest(x: Tensor) -> str:
    # Through float64, so that the exact run and the float32 run of the same values have the same digest.
    values = x.detach().cpu()
    values = values.to(torch.float64) if values.is_floating_point() else values
    return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()[:16]
