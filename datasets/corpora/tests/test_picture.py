"""The picture is drawn from the shipped corpora, and its figures lie above their floors."""

from corpora.sources.picture import draw


def test_the_picture_and_its_figures(tmp_path):
    figures = draw(tmp_path / "entropies.png")
    assert (tmp_path / "entropies.png").read_bytes().startswith(b"\x89PNG")
    for counted, floor in figures.values():
        assert len(counted) == 6 and counted == sorted(counted, reverse=True) and counted[-1] >= floor - 1e-9 > 0
