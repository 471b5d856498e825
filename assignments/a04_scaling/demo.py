"""Scaling up, to watch: `python -m a04_scaling.demo bpe|train|kill|all`, or `torchrun --nproc-per-node 2 -m a04_scaling.demo train --folder run`.

bpe trains a tokenizer and compares it with sentencepiece's (seconds). train teaches a small model the tales, on as many ranks as
torchrun starts, one without it (a minute; with `--folder` it goes on from the checkpoint that it finds there). kill starts two ranks, kills
one in the middle, starts again, and compares the end with a run that nobody disturbed (a minute). Model and data are `given`; everything
between them is yours.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from given.a00_foundations.device import autocast_dtype
from given.a00_foundations.profiling import matmul_rate
from given.a01_transformer.model import GPT, GPTConfig, width_scaled_std
from given.a02_training.data import document_rows, random_documents
from given.a02_training.train import evaluate

BATCH_SIZE, MICRO_BATCHES, CONTEXT = 24, 2, 48  # sequences of the global batch, micro-batches of each rank's shard, tokens
END = "\n"  # ends a tale, and begins one
SPECIAL = ("<|end|>",)
VOCABULARY = 1024
UNIGRAM = 3.0  # nats per character of the tales when nothing but the frequencies of characters is known (a02)


def tokenizer_of(texts, vocab_size: int = 512):
    """A tokenizer for these texts, whose special token ends a document."""
    from a04_scaling.bpe import train

    return train(texts, vocab_size, SPECIAL)


def bpe() -> bool:
    """Merges as they form, and bytes per token on a text that was not trained on, beside sentencepiece."""
    import sentencepiece

    handouts = sorted(Path(__file__).resolve().parents[1].glob("a[0-9][0-9]_*/README.md"))  # English, for want of a network
    *texts, unseen = (
        path.read_text(encoding="utf-8") for path in sorted(handouts, key=lambda path: path.parent.name == "a04_scaling")
    )
    begin = time.process_time()
    tokenizer = tokenizer_of(texts, VOCABULARY)
    n_merges, n_characters = len(tokenizer.merges), sum(map(len, texts))
    print(
        f"bpe: {n_merges} merges from {n_characters:,} characters of handouts, {time.process_time() - begin:.2f} CPU s",
        flush=True,
    )
    names = [data.decode(errors="replace") for data in tokenizer.token_bytes]
    print("first: ", "  ".join(map(repr, names[256:272])))
    print("last:  ", "  ".join(map(repr, names[-9:-1])))
    example = "The gradient of the global batch does not change."
    print(f"{example!r} is", "|".join(names[token] for token in tokenizer.encode(example)))

    lines = [line for line in unseen.splitlines() if line]  # sentencepiece knows lines, and no line ends
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "texts").write_text("\n".join(texts), encoding="utf-8")
        settings = {"model_type": "bpe", "vocab_size": VOCABULARY, "byte_fallback": True, "minloglevel": 2}
        settings |= {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "add_dummy_prefix": False}
        sentencepiece.SentencePieceTrainer.train(input=f"{folder}/texts", model_prefix=f"{folder}/other", **settings)
        other = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/other.model")
    n_bytes = sum(len(line.encode()) for line in lines)
    ours, sentencepieces = (n_bytes / sum(len(one.encode(line)) for line in lines) for one in (tokenizer, other))
    whole = tokenizer.decode(tokenizer.encode(unseen)) == unseen
    reached = whole and ours >= 0.95 * sentencepieces
    print(f"{ours:.3f} bytes per token; sentencepiece has {sentencepieces:.3f}; target 95 % of it: {_verdict(reached)}")
    return reached


def train(folder: Path, steps: int, kill_rank: int | None = None, kill_step: int | None = None) -> bool:
    """Train on all ranks together; rank 0 writes checkpoints and metrics. A rank can be told to kill itself before a step."""
    import corpora

    from a04_scaling import checkpoint, metrics, parallel
    from a04_scaling.accumulate import split_batch
    from a04_scaling.amp import Scaler
    from a04_scaling.bpe import Tokenizer
    from a04_scaling.schedule import Scheduler, groups, warmup_stable_decay

    torch.set_num_threads(1)
    corpus = corpora.load("tales")
    with parallel.connect(timeout=120) as collective:
        first = collective.rank == 0
        device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
        folder.mkdir(parents=True, exist_ok=True)
        if first and not (folder / "tokenizer.json").exists():
            tokenizer_of(corpus.train).save(folder / "tokenizer.json")
        collective.all_reduce(torch.zeros(1, device=device))  # nobody goes on before the tokenizer is there
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
        bos_token = tokenizer.ids[SPECIAL[0]]  # it ends a tale, and so the next one begins with it
        documents, held_out = (
            [[*tokenizer.encode(text.removesuffix(END)), bos_token] for text in texts]
            for texts in (corpus.train, corpus.held_out[:256])
        )
        torch.manual_seed(collective.rank)  # ranks begin differently, and broadcast_parameters corrects that
        config = GPTConfig(tokenizer.vocab_size, CONTEXT, d_model=64, n_heads=4, n_layers=2, init_std=width_scaled_std(64))
        model = GPT(config).to(device)
        parallel.broadcast_parameters(model, collective)
        optimizer = torch.optim.AdamW(groups(model, weight_decay=0.1), betas=(0.9, 0.99))
        scheduler = Scheduler(optimizer, lambda number: warmup_stable_decay(number, steps, peak=6e-3))
        scaler, generator = Scaler.off(), torch.Generator().manual_seed(0)
        dtype = autocast_dtype(device) if device.type == "cuda" else torch.float32
        parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler}

        saved, done = folder / "checkpoint", 0
        if saved.exists():
            done = checkpoint.load_checkpoint(saved, parts, {"data": generator}, device)["step"]
            print(f"rank {collective.rank} of {collective.size} goes on after step {done}", flush=True)
        writers = [metrics.JsonLines(folder / "metrics.jsonl", done), metrics.Console(every=50)] if first else []
        log = metrics.MultiWriter(writers)
        n_weights = sum(
            parameter.numel() for name, parameter in model.named_parameters() if parameter.ndim == 2 and "pos" not in name
        )
        per_token = metrics.flops_per_token(n_weights, config.n_layers, config.d_model, CONTEXT)
        throughput = metrics.Throughput(per_token, matmul_rate(512, device=device) * collective.size) if first else None
        for step in range(done + 1, steps + 1):
            if (collective.rank, step) == (kill_rank, kill_step):
                os.kill(os.getpid(), signal.SIGKILL)
            batch = random_documents(
                documents, BATCH_SIZE, bos_token, generator
            )  # every rank draws the global batch, and takes its shard
            shard = parallel.shard_batch(batch, collective.rank, collective.size)
            micro_batches = split_batch(shard, min(MICRO_BATCHES, len(shard[0]))) if len(shard[0]) else []
            update = parallel.parallel_step(model, optimizer, micro_batches, collective, scaler, dtype, scheduler=scheduler)
            if first:
                throughput.count(batch[0].numel())
                log.write(step, {"loss": update.loss, "grad_norm": update.grad_norm, **throughput.compute()})
            if first and (step % 20 == 0 or step == steps):
                checkpoint.save_checkpoint(saved, parts, {"step": step}, {"data": generator})
        log.close()
        if not first:
            return True
        batches = [document_rows(held_out[at : at + 64], bos_token) for at in range(0, len(held_out), 64)]
        tokens = sum(map(len, held_out))
        per_character = evaluate(model, batches) * tokens / sum(map(len, corpus.held_out[:256]))
        way = (UNIGRAM - per_character) / (UNIGRAM - corpus.floor)
        print(
            f"train: {steps} steps on {collective.size} rank(s): {per_character:.3f} nats per character of tales it has not seen"
        )
        verdict = f"; target 95 %: {_verdict(way >= 0.95)}" if steps >= 400 else ""
        print(
            f"{way:.1%} of the way from single characters ({UNIGRAM}) to the best there is ({corpus.floor:.3f}){verdict}",
            flush=True,
        )
        return way >= 0.95 or steps < 400


def kill(steps: int = 100) -> bool:
    """Two ranks; rank 1 is killed before step 50; the same command again; and the end beside that of a run in one piece."""
    from a04_scaling.checkpoint import read

    with tempfile.TemporaryDirectory() as base:
        disturbed, whole = Path(base) / "disturbed", Path(base) / "whole"
        print("kill: two ranks, and rank 1 dies by SIGKILL before step 50", flush=True)
        died = _torchrun(disturbed, steps, "--kill-rank", "1", "--kill-step", "50")
        lost = re.findall(r"rank \d of \d lost another rank.*|failed \(exitcode: -9\) local_rank: \d", died.stderr)
        print(f"  torchrun ends with status {died.returncode}:", *dict.fromkeys(lost), sep="\n    ")
        print("  the same command again:", flush=True)
        again = _torchrun(disturbed, steps)
        print("   ", "\n    ".join(again.stdout.splitlines()))
        straight = _torchrun(whole, steps)
        ends = [read(folder / "checkpoint")["parts"]["model"] for folder in (disturbed, whole)]
        equal = all(torch.equal(ends[0][name], ends[1][name]) for name in ends[1])
    ended_well = died.returncode != 0 and bool(lost) and again.returncode == straight.returncode == 0
    print(f"  weights after step {steps} are those of a run in one piece, bit for bit: {_verdict(equal)}")
    return ended_well and equal


def _torchrun(folder: Path, steps: int, *more: str) -> subprocess.CompletedProcess:
    """This demo on two ranks."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "a04_scaling.demo"]
    command += ["train", "--folder", str(folder), "--steps", str(steps), *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _verdict(reached: bool) -> str:
    return "reached" if reached else "not reached"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m a04_scaling.demo")
    parser.add_argument("name", choices=["bpe", "train", "kill", "all"])
    parser.add_argument(
        "--folder", type=Path, help="where checkpoint and metrics of `train` lie; default: a folder that is deleted"
    )
    parser.add_argument("--steps", type=int, default=400, help="updates of `train`")
    parser.add_argument("--kill-rank", type=int, help="a rank of `train` that kills itself …")
    parser.add_argument("--kill-step", type=int, help="… before this step")
    wish = parser.parse_args(arguments)
    if wish.name == "train" and wish.folder is None and torch.distributed.is_torchelastic_launched():
        parser.error("under torchrun all ranks share a folder: say which with --folder")
    reached = bpe() if wish.name in ("bpe", "all") else True
    if wish.name in ("train", "all"):
        with tempfile.TemporaryDirectory() as folder:
            reached &= train(wish.folder or Path(folder), wish.steps, wish.kill_rank, wish.kill_step)
    if wish.name in ("kill", "all"):
        reached &= kill()
    return 0 if reached else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NotImplementedError as missing:
        print(f"Not there yet. {missing}\nFinish that part (`make grade A=a04` checks it) and run the demo again.")
        sys.exit(1)
    except RuntimeError as lost:
        if type(lost).__name__ != "RankLost":
            raise
        print(lost, file=sys.stderr)
        sys.exit(1)
