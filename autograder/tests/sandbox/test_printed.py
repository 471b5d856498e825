"""Whatever a worker prints, its beginning and its end are kept, and what is left out is counted."""

from hypothesis import given
from hypothesis import strategies as st

from autograder.sandbox import printed
from autograder.sandbox.printed import KEPT, Printed


def test_a_flood_keeps_its_beginning_and_its_end():
    flood = Printed()
    flood.extend(b"first\n")
    for _ in range(1000):
        flood.extend(b"y" * 65536)
    flood.extend(b"\nlast")
    text = flood.text()
    assert text.startswith("first\n") and text.endswith("\nlast")
    assert "bytes are left out here" in text and len(text) < 2 * KEPT + 100


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_in_whatever_pieces_it_comes(chunks):
    whole, pieces = Printed(), Printed()
    whole.extend(b"".join(chunks))
    for chunk in chunks:
        pieces.extend(chunk)
    assert whole.text() == pieces.text() == b"".join(chunks).decode(errors="replace")


def test_nothing_is_lost_up_to_both_bounds_and_one_byte_beyond(monkeypatch):
    monkeypatch.setattr(printed, "KEPT", 3)
    for text, shown in [(b"abcdef", "abcdef"), (b"abcdefg", "abc\n… 1 bytes are left out here …\nefg"), (b"\xff", "\ufffd")]:
        output = Printed()
        output.extend(text)
        assert output.text() == shown
