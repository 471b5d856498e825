"""Small English stories with an exact optimum: someone, a thing, a friend and a place come back, so attention pays.

One tale, one line: `Tom had a red ball. He met Ann in the park. Ann hid the ball in a box, but Tom found it. Now Tom has the
red ball.` What comes later follows from what was said: the pronouns from the names, the thing and its quality, who
has it in the end from what happened. A language is a seed; the words, their chances and (if disguised) the spelling
follow from it, the shape does not.
"""

from collections.abc import Callable

from corpora.corpus import Corpus, fitting
from corpora.sources.grammar import Grammar, Teller
from corpora.sources.lexicon import Lexicon

LONGEST = 144  # characters with END, whatever the seed
_WORDS, _TRAIN, _HELD_OUT = range(3)  # streams of one seed


def language(seed: int = 0, disguised: bool = False) -> Grammar:
    """The language of a seed. disguised: its letters are permuted too, so nothing that is known of English, or of
    another seed's tales, helps to predict it; lengths, chances and the floor are those of the plain spelling.
    """
    words = Lexicon([seed, _WORDS])
    return Grammar(story(words), words.letters) if disguised else Grammar(story(words))


def corpus(seed: int = 0, size: int = 1_000_000, held_out: int = 100_000, disguised: bool = False) -> Corpus:
    """Tales of a language: as many as fit into `size` characters to train on, and `held_out` characters of others' drawing.

    The two are drawn independently, so a held-out tale may also be among those to train on, as often as chance has it.
    """
    grammar = language(seed, disguised)
    train, held = (
        tuple(fitting((text for text, _ in grammar.documents([seed, stream])), characters))
        for stream, characters in ((_TRAIN, size), (_HELD_OUT, held_out))
    )
    return Corpus("tales", train, held, floor=grammar.floor(held))


def story(words: Lexicon) -> Callable[[Teller], None]:
    """The description of the language; everything else that is known of it comes from this function."""

    def tell_it(tell: Teller) -> None:
        hero = tell.pick(words.names)
        tell.pick(words.gets)
        quality = tell.pick(words.qualities)
        tell.say(" ")
        thing = tell.pick(words.things)
        tell.say(f". {words.subject(hero)}")
        tell.pick(words.meets)
        friend = tell.pick(words.names.without(hero))
        tell.pick(words.where)
        place = tell.pick(words.places)
        tell.say(f". {friend}")
        owner = _turn(tell, words, hero, friend, thing)
        _end(tell, words, owner, quality, thing, place)

    return tell_it


def _turn(tell: Teller, words: Lexicon, hero: str, friend: str, thing: str) -> str:
    """What the friend does with the thing; who has it afterwards."""
    turn = tell.pick(words.turns)
    tell.say(f" the {thing}")
    if turn == " wanted":
        tell.say(f", so {hero} gave it to {words.object(friend)}.")
        return friend
    if turn == " hid":
        tell.say(" in a ")
        tell.pick(words.spots)
        tell.say(f", but {hero} found it.")
    else:
        tell.say(f", so {hero} used ")
        tell.pick(words.tools)
        tell.say(".")
    return hero


def _end(tell: Teller, words: Lexicon, owner: str, quality: str, thing: str, place: str) -> None:
    end = tell.pick(words.ends)
    if end == " Now ":
        tell.say(f"{owner} has the {quality} {thing}.")
        return
    tell.say(f"{owner} was " if end == " So " else f"left the {place} ")
    tell.pick(words.feelings)
    tell.say(".")
