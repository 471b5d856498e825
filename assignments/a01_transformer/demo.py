"""Your GPT learns to write words backwards, and one of its heads shows how: `python -m a01_transformer.demo`.

A task for attention alone: to write the next letter, look back at the right one. The training loop is the shortest that
works and leaves out all that the next assignment is about. Some 5 seconds on one core.
"""

import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SEPARATOR = len(LETTERS)  # the token that says: now backwards
LENGTH, STEPS, BATCH_SIZE = 10, 200, 64
SHADES = " ·░▒▓█"


def words(n: int, generator: torch.Generator) -> Tensor:
    """Sequences "abcdefghij|jihgfedcba" of random letters, as tokens of shape (n, 2 · LENGTH + 1)."""
    letters = torch.randint(len(LETTERS), (n, LENGTH), generator=generator)
    return torch.cat([letters, torch.full((n, 1), SEPARATOR), letters.flip(1)], dim=1)


def spell(tokens: Tensor) -> str:
    return "".join((LETTERS + "|")[token] for token in tokens.tolist())


def write_backwards(model, prompts: Tensor) -> Tensor:
    """The LENGTH tokens that the model finds likeliest after each prompt, one after the other."""
    tokens = prompts
    with torch.no_grad():
        for _ in range(LENGTH):
            tokens = torch.cat([tokens, model(tokens)[:, -1:].argmax(-1)], dim=1)
    return tokens[:, -LENGTH:]


def accuracy(model, sequences: Tensor) -> float:
    """Fraction of words that come out backwards without a single mistake."""
    model.eval()
    right = write_backwards(model, sequences[:, : LENGTH + 1]) == sequences[:, -LENGTH:]
    model.train()
    return right.all(1).double().mean().item()


def train(model, unseen: Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    print(f"\n step   loss   words right (of {len(unseen)} never seen; chance: loss {math.log(len(LETTERS)):.2f})")
    for step in range(STEPS + 1):
        if step % 25 == 0:
            with torch.no_grad():
                loss = answer_loss(model, unseen).item()
            print(f"{step:5d}  {loss:5.3f}   {accuracy(model, unseen):6.1%}", flush=True)
        loss = answer_loss(model, words(BATCH_SIZE, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def answer_loss(model, sequences: Tensor) -> Tensor:
    """Cross-entropy in nats per letter, over the letters after the separator: those before it are random."""
    logits = model(sequences[:, :-1])[:, LENGTH:]
    return F.cross_entropy(logits.flatten(0, 1), sequences[:, LENGTH + 1 :].flatten())


def show_attention(model, sequence: Tensor, maps: Tensor) -> None:
    """Rows: the letters as they are written; columns: the word. maps: (n_layers, n_heads, seq_len, seq_len)."""
    back = maps[..., LENGTH : 2 * LENGTH, :LENGTH]  # the query that writes letter r stands one position before it
    fraction = back.flip(-1).diagonal(dim1=-2, dim2=-1).mean(-1)
    layer, head = divmod(int(fraction.argmax()), maps.shape[1])
    print(f"\nWhere layer {layer}, head {head} looks while it writes (darker: more attention)\n")
    print("   writes   reads  " + " ".join(spell(sequence[:LENGTH])))
    for row, weights in enumerate(back[layer, head]):
        shades = " ".join(SHADES[min(int(w * len(SHADES)), len(SHADES) - 1)] for w in weights.tolist())
        print(f"        {spell(sequence[LENGTH + 1 + row : LENGTH + 2 + row])}          {shades}")
    print(f"\nThis head gives {fraction.max():.0%} of its attention to the very letter that comes next; "
          f"a blind one would give {1 / (1.5 * LENGTH):.0%}.")  # fmt: skip


def main() -> int:
    # Imported here, so that a module that is not there yet gets the friendly message below.
    from .diagnostics import attention_maps
    from .model import GPT, GPTConfig, width_scaled_std

    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.perf_counter()
    d_model = 48
    model = GPT(GPTConfig(SEPARATOR + 1, 2 * LENGTH + 1, d_model, n_heads=2, n_layers=2, init_std=width_scaled_std(d_model)))
    print(f"A GPT with {model.n_parameters():,} parameters learns to write words backwards.")
    unseen = words(200, torch.Generator().manual_seed(2))
    train(model, unseen)
    print()
    for sequence, answer in zip(unseen[:4], write_backwards(model, unseen[:4, : LENGTH + 1]), strict=True):
        verdict = "right" if torch.equal(answer, sequence[-LENGTH:]) else "wrong"
        print(f"  {spell(sequence[: LENGTH + 1])}{spell(answer)}  {verdict}")
    show_attention(model, unseen[0], attention_maps(model, unseen[:1])[:, 0])
    print(f"{time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotImplementedError as missing:
        print(f"Not there yet. {missing}\nFinish that part (`make grade A=a01` checks it) and run the demo again.")
        sys.exit(1)
