"""Where the generated corpora come from, and their oracles: exact probabilities, floors and right answers.

Reading a corpus (`corpora.load`) needs nothing of this package; a worker that runs student code does not see it.
"""
