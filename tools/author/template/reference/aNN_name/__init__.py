"""Title: a softmax with a temperature, and the loss by which one model learns from another."""
