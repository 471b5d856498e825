"""Problems solved on paper: the student's numbers in `by_hand.toml` are compared with hashes of the right ones.

A hash is a deterrent and no secret, because three decimals can be tried out. One more or less in the last decimal counts
as right.
"""

import hashlib
from decimal import Decimal, InvalidOperation

from autograder.errors import GraderFault
from autograder.judge.evidence import Evidence
from autograder.judge.judge import Judge
from autograder.judge.mismatch import Mismatch
from autograder.judge.reason import Reason
from autograder.observation.golden import Expected, Golden
from autograder.observation.leaf import Observation


class AnswersByHand(Judge):
    """One number of `by_hand.toml`.

    key: the name of the question.
    digits: decimals that are asked for. 0 asks for a count, which must be exact.
    """

    def __init__(self, key: str, digits: int):
        self.key, self.digits = key, digits

    def record(self, observation: Observation) -> Golden:
        """Golden leaves that hold the accepted numbers as hashes alone.

        GraderFault: the answer of the reference is not of the form that is asked for.
        """
        answer = observation["answer"]
        right, unit = self._read(answer) if isinstance(answer, str) else None, Decimal(1).scaleb(-self.digits)
        if right is None:
            raise GraderFault(f"{self.key} = {answer!r} in the reference's by_hand.toml is no number with {self.digits} decimals")
        accepted = [right - unit, right, right + unit] if self.digits else [right]
        return Golden({"answer": Expected(" ".join(self._hash(a) for a in accepted))})

    def compare(self, evidence: Evidence, golden: Golden) -> Mismatch | None:
        """The answer is a number of the form that is asked for, and its hash is one of the golden ones."""
        answer = evidence.observation.get("answer")
        number = self._read(answer) if isinstance(answer, str) else None
        if number is None:
            wanted = f"{self.digits} decimals" if self.digits else "a whole number"
            text = f"{self.key} = {str(answer)[:40]!r} in by_hand.toml should be a number in quotation marks with {wanted}"
            return Mismatch("answer", Reason.FORM, text)
        if self._hash(number) in str(golden.leaves["answer"].value).split():
            return None
        text = f"{self.key} = {answer!r} is not the number; work the problem once more, slowly"
        return Mismatch("answer", Reason.VALUE, text)

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
