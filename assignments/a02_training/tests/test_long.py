"""The check on real text: minutes long, run by `grade a02 --only shakespeare --long` alone, and worth no points."""

import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import limits, needs, on_request, part, trains_below

CONTEXT = 128


def shakespeare_model():
    """Three layers of a01's model, with an initialisation that fits their width."""
    from given.a01_transformer.model import GPT, GPTConfig, width_scaled_std

    return GPT(GPTConfig(vocab_size=256, n_positions=CONTEXT, d_model=128, n_heads=4, n_layers=3, init_std=width_scaled_std(128)))


def what_follows(solution, draw, state, prefixes):
    """Log-probabilities of the next byte after each of these cuttings."""
    model = shakespeare_model()
    model.load_state_dict(state)
    log_probs = torch.zeros(len(prefixes), 256)
    order = sorted(range(len(prefixes)), key=lambda index: len(prefixes[index]))  # little to fill up
    with torch.no_grad():
        for indices in (order[i : i + 64] for i in range(0, len(order), 64)):
            sequences = [torch.tensor(list(prefixes[index])) for index in indices]
            logits = model.eval()(nn.utils.rnn.pad_sequence(sequences, batch_first=True))
            last = torch.tensor([len(sequence) - 1 for sequence in sequences])
            log_probs[indices] = logits[torch.arange(len(sequences)), last].log_softmax(-1)
    return {"log_probs": log_probs}


@on_request
@part("train.train")
@needs(
    *("data.save_tokens", "data.open_tokens", "data.random_batch", "loss.next_token_loss"),
    *("optim.parameter_groups", "optim.AdamW", "optim.clip_gradients", "schedule.learning_rate", "train.training_step"),
)
@weight(0)
@limits(seconds=3600)
@trains_below(what_follows, loss=1.5, corpus="shakespeare", context=CONTEXT)
def test_model_learns_shakespeare(solution, draw, text):
    """In 5000 steps on tiny Shakespeare your data, loss, optimiser and schedule reach less than 1.5 nats per character."""
    solution.data.save_tokens("shakespeare.npy", list(text), 256)
    tokens, model = solution.data.open_tokens("shakespeare.npy"), shakespeare_model()
    history = solution.train.train(
        model,
        lambda generator: solution.data.random_batch(tokens, 8, CONTEXT, generator),
        solution.train.TrainConfig(steps=5000, peak_lr=4e-3),
        generator=torch.Generator().manual_seed(draw.seed),
    )
    records = [[record.step, record.loss, record.gradient_norm] for record in history]
    return {"state": model.state_dict(), "history": torch.tensor(records)}
