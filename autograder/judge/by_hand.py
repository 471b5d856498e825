"""Sums done on paper: the student's numbers in `by_hand.toml` are compared with hashes of the right ones.

A hash is a deterrent, no secret: three decimals can be tried out. One more or less in the last decimal is accepted.
"""

import hashlib
from decimal import Decimal, InvalidOperation

from autograder.judge.judge import Judge
from autograder.judge.mismatch import Mismatch
from autograder.observation.golden import Expected, Golden
from autograder.observation.leaf import Observation


class AnswersByHand(Judge):
    """One number, written with `digits` decimals (0: a count, which must be exact)."""

    def __init__(self, key: str, digits: int):
        self.key, self.digits = key, digits

    def record(self, observation: Observation) -> Golden:
        """Golden leaves that hold the accepted numbers as hashes alone."""
        right, unit = self._read(observation["answer"]), Decimal(1).scaleb(-self.digits)
        accepted = [right - unit, right, right + unit] if self.digits else [right]
        return Golden({"answer": Expected(" ".join(self._hash(a) for a in accepted))})

    def compare(self, observation: Observation, golden: Golden, factor: float = 1.0) -> Mismatch | None:
        answer = observation.get("answer")
        number = self._read(answer) if isinstance(answer, str) else None
        if number is None:
            wanted = f"{self.digits} decimals" if self.digits else "a whole number"
            return Mismatch(
                "answer",
                "form",
                f"{self.key} = {str(answer)[:40]!r} in by_hand.toml should be a number in quotation marks with {wanted}",
            )
        if self._hash(number) in str(golden.leaves["answer"].value).split():
            return None
        return Mismatch("answer", "value", f"{self.key} = {answer!r} is not the number; do the sum once more, slowly")

    def _read(self, text: str) -> Decimal | None:
        try:
            number = Decimal(text.strip().replace(" ", ""))
        except InvalidOperation:
            return None
        exponent = number.as_tuple().exponent
        return number if isinstance(exponent, int) and -exponent == self.digits and abs(number) < 10**12 else None

    def _hash(self, number: Decimal) -> str:
        text = f"{self.key}:{number + 0:.{self.digits}f}".replace("-0." + "0" * self.digits, "0." + "0" * self.digits)
        return hashlib.pbkdf2_hmac("sha256", text.encode(), b"by hand", 20_000).hex()[:32]


def answers_by_hand(key: str, digits: int) -> AnswersByHand:
    """Judge a check that returns {"answer": solution.by_hand[key]}."""
    return AnswersByHand(key, digits)
