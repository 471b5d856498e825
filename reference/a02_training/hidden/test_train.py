"""Checks of data.py, loss.py and train.py that never ship: another language to learn, one document per row."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import limits, matches_reference, needs, part, trains_to


@part("loss.next_token_loss")
@weight(1)
@matches_reference
def test_loss_of_another_batch(solution, draw):
    """Large logits, padding in the middle of rows, float16 and one axis give the reference's losses and gradients."""
    logits = draw.normal(3, 7, 12, scale=40).requires_grad_()
    targets = draw.integers(0, 12, 3, 7).masked_fill(draw.bernoulli(0.4, 3, 7), -100)
    targets[0, 0] = 5
    loss = solution.loss.next_token_loss(logits, targets)
    half = solution.loss.next_token_loss(draw.normal(6, 12, scale=3, dtype=torch.float16), draw.integers(0, 12, 6))
    return {"loss": loss, "grad": draw.backward(loss), "half": half}


@part("data.random_batch")
@weight(1)
@matches_reference
def test_windows_of_the_shortest_file(solution, draw):
    """Of a file with one token more than a window there is one window; its targets are its inputs a token later."""
    tokens = draw.integers(0, 60_000, 10).numpy().astype("uint16")
    inputs, targets = solution.data.random_batch(tokens, 4, 9, torch.Generator().manual_seed(3))
    return {"inputs": inputs, "targets": targets}


def small_model():
    """As large as that of the public training check."""
    from given.a01_transformer import model

    shape = {"d_model": 64, "n_heads": 4, "n_layers": 2, "vocab_size": 256, "n_positions": 145}
    return model.GPT(model.GPTConfig(**shape, init_std=0.07))


def opinions(solution, draw, state, prefixes):
    """Log-probabilities of the byte behind each prefix, those of one length together; a tale begins behind a line end."""
    model = small_model()
    model.load_state_dict(state)
    model.eval()
    answers = torch.empty(len(prefixes), 256)
    for length in {len(prefix) for prefix in prefixes}:
        rows = [row for row, prefix in enumerate(prefixes) if len(prefix) == length]
        with torch.no_grad():
            logits = model(torch.tensor([[10, *prefixes[row]] for row in rows]))
        answers[rows] = logits[:, -1].log_softmax(-1)
    return {"log_probs": answers}


@part("train.train")
@needs(
    *("data.document_rows", "loss.next_token_loss", "optim.clip_gradients", "optim.parameter_groups", "optim.AdamW"),
    *("schedule.learning_rate", "train.evaluating", "train.evaluate", "train.training_step", "train.overfits"),
)
@weight(1)
@limits(seconds=120)
@trains_to(opinions, share=0.96, corpus={"tales": {"seed": 70_313, "size": 600_000, "held_out": 60_000}})
def test_model_learns_other_tales(solution, draw, text):
    """In 400 steps with a tale per row a small model learns a language of other words and probabilities nearly to the best."""
    tales, model = text.splitlines(keepends=True), small_model()

    def next_batch(generator):
        drawn = torch.randint(len(tales), (8,), generator=generator).tolist()
        return solution.data.document_rows([list(tales[index]) for index in drawn], 10)

    settings, generator = solution.train.TrainConfig(steps=400), torch.Generator().manual_seed(draw.seed)
    history = solution.train.train(model, next_batch, settings, generator=generator)
    records = [[record.step, record.loss, record.gradient_norm] for record in history]
    return {"state": model.state_dict(), "history": torch.tensor(records)}
