"""The table of the ablation, which is given: it shows every field that a summary has, and dashes where there is none."""

import pytest

RUN = {"steps": (10, 20), "tokens": (100, 200), "losses": (2.0, 1.0), "grad_norms": (0.25, 0.5), "seconds_per_step": 0.002}


@pytest.fixture(scope="module")
def ablation(load):
    return load("reference", "a03_modern", ("ablation",)).ablation


def test_the_table_shows_a_line_for_each_row(ablation):
    runs = [ablation.Run(row, seed, 1234, **RUN) for row in ("baseline", "norm") for seed in (0, 1)]
    assert ablation.table(ablation.summarise(runs)).splitlines()[2:] == [
        "| baseline | 2 | 1,234 | 1.000 (0.000) | – | – | 0.38, 0.50 | 2.0 |",
        "| norm | 2 | 1,234 | 1.000 (0.000) | +0.000 (0.000), +0.000 | 1.00 – 1.00 | 0.38, 0.50 | 2.0 |",
    ]
