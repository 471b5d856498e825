"""These are wrong versions of parts of device.py, one mistake each. A docstring is the hint that a student reads."""

import random

import numpy as np
import torch

from tools.author.cases import misconception

from .device import KINDS, device_counts


def there(counts):
    """The kinds of which there is one, best first."""
    counts = device_counts() if counts is None else counts
    return [kind for kind in KINDS if counts.get(kind, 0) > 0]


def kind_of(wish):
    """The kind and the number of a wish; ValueError if it is none."""
    kind, colon, number = wish.partition(":")
    if kind not in KINDS or (colon and not (number.isascii() and number.isdigit())):
        raise ValueError("no device")
    return kind, int(number or 0)


@misconception("device.pick_device", pitfall=1, ask="What would someone who asked for a GPU like to know?")
def quietly_the_best_there_is(wish=None, counts=None):
    """A wish that cannot be met is met by something else, without a word."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    return torch.device(wish if number < counts.get(kind, 0) else found[0])


@misconception("device.pick_device", pitfall=2, ask="What is cuda:1 on a machine with one GPU?")
def number_is_not_looked_at(wish=None, counts=None):
    """Only the kind of a wish is looked at, so a number that is not there is taken too."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    if kind_of(wish)[0] not in found:
        raise ValueError(f"there is only {found}")
    return torch.device(wish)


@misconception("device.pick_device", pitfall=2, ask="Which number has the last of four GPUs?")
def numbers_count_from_one(wish=None, counts=None):
    """Numbers are counted from 1, so cuda:4 is accepted where there are four."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    if kind not in found or number > counts.get(kind, 0):
        raise ValueError(f"there is only {found}")
    return torch.device(wish)


@misconception("device.pick_device", ask="What has a Mac to compute on?")
def apple_gpu_is_passed_over(wish=None, counts=None):
    """Without a wish only CUDA is looked for, and the CPU is taken although there is MPS."""
    found = there(counts)
    if wish is None:
        return torch.device("cuda" if "cuda" in found else "cpu")
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    if number >= counts.get(kind, 0):
        raise ValueError(f"there is only {found}")
    return torch.device(wish)


@misconception("device.pick_device", ask="What does torch.device make of a name that it does not know?")
def torch_is_asked_what_a_device_is(wish=None, counts=None):
    """Any name that torch.device takes counts as a device, and for others its own error comes out instead of a ValueError."""
    found = there(counts)
    device = torch.device(wish or found[0])
    counts = device_counts() if counts is None else counts
    if device.type in KINDS and (device.index or 0) >= counts.get(device.type, 0):
        raise ValueError(f"there is only {found}")
    return device


@misconception("device.pick_device", ask="Does torch.device('cuda') equal torch.device('cuda', 0)?")
def every_device_gets_a_number(wish=None, counts=None):
    """A number is added where the wish has none, so cuda becomes cuda:0."""
    found = there(counts)
    if wish is None:
        return torch.device(found[0])
    kind, number = kind_of(wish)
    counts = device_counts() if counts is None else counts
    if number >= counts.get(kind, 0):
        raise ValueError(f"there is only {found}")
    return torch.device(kind, number)


@misconception("device.autocast_dtype", pitfall=3, ask="What does including_emulation stand for?")
def emulation_counts_as_support(device, cuda_has_bfloat16=None):
    """A GPU that only emulates bfloat16 is said to have it."""
    kind = torch.device(device).type
    if kind not in KINDS:
        raise ValueError("no such kind")
    if kind == "cuda" and cuda_has_bfloat16 is None:
        cuda_has_bfloat16 = torch.cuda.is_bf16_supported()
    return torch.float16 if kind == "mps" or (kind == "cuda" and not cuda_has_bfloat16) else torch.bfloat16


@misconception("device.autocast_dtype", ask="Which 16-bit format do CPUs compute in?")
def float16_unless_cuda_has_better(device, cuda_has_bfloat16=None):
    """bfloat16 is taken for a thing of CUDA alone, and a CPU gets float16."""
    kind = torch.device(device).type
    if kind not in KINDS:
        raise ValueError("no such kind")
    if kind == "cuda" and cuda_has_bfloat16 is None:
        cuda_has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if kind == "cuda" and cuda_has_bfloat16 else torch.float16


@misconception("device.autocast_dtype", ask="What do older GPUs, and Apple's, compute in?")
def bfloat16_everywhere(device, cuda_has_bfloat16=None):
    """Every device gets bfloat16, those too that do not compute in it."""
    if torch.device(device).type not in KINDS:
        raise ValueError("no such kind")
    return torch.bfloat16


@misconception("device.seed_everything", pitfall=4, ask="Which generators does torch.manual_seed know of?")
def torch_alone_is_seeded(seed):
    """Only PyTorch is seeded; Python's random and NumPy go their own way."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


@misconception("device.seed_everything", pitfall=4, ask="What shuffles with np.random?")
def numpy_is_not_seeded(seed):
    """NumPy's generator is forgotten."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


@misconception("device.seed_everything", pitfall=5, ask="In which order does a kernel add?")
def seeds_alone(seed):
    """The generators are seeded, and kernels that add in another order each time are left on."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@misconception("device.seed_everything", pitfall=5, ask="What does a race among kernels depend on?")
def cudnn_still_races(seed):
    """cuDNN still picks its kernels by measuring which is fastest."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)


@misconception("device.seed_everything", ask="Which seeds does NumPy take?")
def a_seed_of_its_own_for_each(seed):
    """Each library gets another number, seed + 1 and seed + 2, and the largest seed is one too many for NumPy."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    torch.manual_seed(seed)
    np.random.seed(seed + 1)
    random.seed(seed + 2)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


@misconception("device.seed_everything", ask="Where does the number come from in the second run?")
def same_seed_whatever_is_asked(seed):
    """The generators get a fixed number, so that every seed gives the same run."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError("no seed")
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
