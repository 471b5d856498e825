def weighted(x, w):
    return (x * w).sum(-1)
def mean(x, w):
    return (x * w).mean(-1)
