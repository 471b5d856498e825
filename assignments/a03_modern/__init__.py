"""The transformer of today: RMSNorm, rotary positions, SwiGLU, grouped queries, caches, and an ablation that weighs them."""
