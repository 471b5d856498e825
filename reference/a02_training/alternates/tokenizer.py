"""These are other right versions of parts of tokenizer.py. The tolerances allow for all of these routes."""

from tools.author.cases import alternate


@alternate("tokenizer.ByteTokenizer.encode")
def encode_from_left_to_right(self, text, allow_special=False):
    """At each position the special texts are tried, longest first; no regular expression."""
    names = sorted(self.ids, key=len, reverse=True) if allow_special else []
    tokens, position = [], 0
    while position < len(text):
        name = next((name for name in names if text.startswith(name, position)), None)
        tokens.extend(text[position].encode() if name is None else [self.ids[name]])
        position += 1 if name is None else len(name)
    return tokens


@alternate("tokenizer.ByteTokenizer.decode")
def decode_run_by_run(self, tokens):
    """Bytes gather until something else comes; each run is decoded on its own."""
    names, text, run = {token: name for name, token in self.ids.items()}, "", bytearray()
    for token in tokens:
        if 0 <= token <= 255:
            run.append(token)
        else:
            text += run.decode(errors="replace") + names.get(int(token), "\ufffd")
            run = bytearray()
    return text + run.decode(errors="replace")
