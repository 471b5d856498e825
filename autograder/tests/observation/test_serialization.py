"""Observations survive the way back whole, and rubbish is refused, never believed and never unpickled."""

import pickle
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.observation.leaf import Array, Unsupported
from autograder.observation.serialization import MalformedObservation, deserialize, serialize

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20)
trees = st.dictionaries(
    st.text(st.characters(codec="ascii", exclude_characters=".["), min_size=1, max_size=5),
    scalars | st.lists(scalars, min_size=1, max_size=3),
    max_size=4,
)


@given(trees)
def test_plain_values_come_back_as_they_were(tree):
    observation = deserialize(serialize(tree))
    expected = {}
    for key, value in tree.items():
        expected |= {f"{key}[{i}]": v for i, v in enumerate(value)} if isinstance(value, list) else {key: value}
    assert observation == expected
    assert [type(v) for v in observation.values()] == [type(v) for v in expected.values()]


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 4)])
def test_tensors_come_back_with_dtype_and_shape(dtype, shape):
    tensor = (torch.arange(int(np.prod(shape))).reshape(shape) % 2).to(dtype)
    array = deserialize(serialize({"x": tensor}))["x"]
    assert (array.dtype, array.shape) == (str(dtype).removeprefix("torch."), shape)
    assert np.array_equal(array.values, tensor.to(torch.float64).numpy())


def test_views_and_parameters_are_copied():
    base = torch.arange(12.0).reshape(3, 4)
    observation = deserialize(serialize({"a": base.T, "b": base[:, ::2], "p": torch.nn.Parameter(base)}))
    assert np.array_equal(observation["a"].values, base.T.numpy()) and np.array_equal(
        observation["b"].values, base[:, ::2].numpy()
    )
    assert isinstance(observation["p"], Array)


class Pleaser(torch.Tensor):
    """A tensor that claims to be anything."""

    __eq__ = __lt__ = __le__ = lambda *_: True


@pytest.mark.parametrize(
    "value", [object(), np.float32(1), Pleaser(), torch.eye(2).to_sparse(), torch.empty(2, device="meta"), {1, 2}, b"x"]
)
def test_foreign_values_leave_only_the_name_of_their_type(value):
    assert isinstance(deserialize(serialize({"x": value}))["x"], Unsupported)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_rubbish_is_refused(data):
    with pytest.raises(MalformedObservation):
        deserialize(data)


@settings(max_examples=300)
@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_gives_plain_values(place, byte):
    data = bytearray(serialize({"x": torch.ones(3), "n": 1, "s": "word"}))
    data[place % len(data)] = byte
    try:
        observation = deserialize(bytes(data))
    except MalformedObservation:
        return
    assert all(isinstance(v, (Array, Unsupported, int, float, str, bool, type(None))) for v in observation.values())


def test_a_pickle_is_not_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "boom"), "w")

    bomb = pickle.dumps(Bomb())
    for data in (bomb, struct.pack("<I", 2) + b"[]" + bomb):
        with pytest.raises(MalformedObservation):
            deserialize(data)
    assert not (tmp_path / "boom").exists()
