"""A decoder-only transformer from first principles: positions, attention, layers, block, model, and a look inside."""
