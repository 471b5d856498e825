"""Draws how far counting gets against the exact floor: `python -m corpora.sources.picture FILE.png`. The figures are printed too."""

import math
import sys
from pathlib import Path

import corpora
from corpora.corpus import Corpus
from corpora.sources import tales
from corpora.statistics import entropies

LONGEST = 6


def floor(corpus: Corpus) -> float:
    """Nats per character of the documents to train on, under the source that wrote them."""
    if corpus.name == "tales":
        return tales.language().floor(corpus.train)
    return math.log(len(corpus.train)) * len(corpus.train) / len(corpus.text)  # a list of documents, equally likely


def draw(path: Path) -> dict[str, tuple[list[float], float]]:
    """Writes the picture; the n-gram entropies and the floor of each corpus, in nats per character, by its name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figures = {}
    fig, axes = plt.subplots(1, len(corpora.GENERATED), figsize=(13, 3.6), sharey=True, layout="constrained")
    for axis, name in zip(axes, corpora.GENERATED, strict=True):
        corpus = corpora.load(name)
        counted, least = figures[name] = entropies(corpus.train, LONGEST), floor(corpus)
        axis.plot(range(1, LONGEST + 1), counted, "o-", color="tab:blue", label="n-gram table")
        axis.axhline(least, color="tab:red", linestyle="--", label=f"exact floor {least:.3f}")
        for n, value in enumerate(counted, 1):
            axis.annotate(f"{value:.2f}", (n, value), textcoords="offset points", xytext=(3, 6), fontsize=8)
        axis.set(
            title=f"{name} ({len(corpus.text):,} characters)",
            xlabel="n",
            xticks=range(1, LONGEST + 1),
            xlim=(0.7, 6.8),
            ylim=(0, 3.5),
        )
        axis.legend(frameon=False)
    axes[0].set_ylabel("nats per character")
    fig.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(fig)
    return figures


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m corpora.sources.picture FILE.png")
    for name, (counted, least) in draw(Path(sys.argv[1])).items():
        print(f"{name:14}", *(f"{value:.4f}" for value in counted), f"floor {least:.4f}")
