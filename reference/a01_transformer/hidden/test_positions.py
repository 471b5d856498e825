"""Checks of positions.py that never ship: other shapes and edges."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, part


@part("positions.sinusoidal_positions")
@weight(1)
@matches_reference
def test_another_table(solution, draw):
    """A table of another size and base is right too."""
    return {"table": solution.positions.sinusoidal_positions(23, 14, base=700.0)[-5:]}
