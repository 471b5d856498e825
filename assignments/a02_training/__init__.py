"""Training a small language model: tokens, batches, the loss, AdamW, a schedule, the loop, and sampling."""
