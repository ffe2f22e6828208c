"""English: small word lists for the rules of `variations`, each entry checked by eye, and plurals of nouns."""

from __future__ import annotations

_NOUNS = {
    "person": """
        man woman boy girl child baby lady guy person kid toddler player skier snowboarder surfer skateboarder batter
        pitcher catcher umpire chef doctor nurse policeman officer firefighter soldier bride groom cowboy clown biker
        cyclist rider worker student teacher waiter farmer fisherman tourist gentleman singer dancer""",
    "animal": """
        dog cat horse cow bird elephant giraffe zebra bear puppy kitten duck goose goat pig monkey lion tiger rabbit
        frog owl parrot pigeon seagull swan penguin turtle pony donkey camel squirrel""",
    "vehicle": """
        car bus truck bicycle bike motorcycle boat ship airplane plane helicopter van taxi tractor scooter canoe
        skateboard surfboard snowboard kite wagon train""",
    "furniture": "table chair couch bed bench desk sofa shelf stool dresser cabinet lamp",
    "place": """
        kitchen bathroom bedroom street road beach park field river lake mountain hill bridge forest garden farm barn
        house building church tower station airport restaurant store stadium sidewalk""",
    "food": "pizza sandwich cake banana apple carrot donut doughnut salad burger cookie pie egg potato tomato lemon",
    "thing": """
        ball bat racket frisbee umbrella hat helmet shirt jacket tie phone laptop computer keyboard camera book
        newspaper clock vase cup mug bottle plate bowl fork knife spoon box bag suitcase backpack toothbrush towel
        mirror window door sign flag candle toy doll guitar piano television refrigerator stove oven toilet bathtub sink
        pillow blanket basket bucket ladder flower tree rock fence wall""",
}
_IRREGULAR = {
    "man": "men",
    "woman": "women",
    "child": "children",
    "person": "people",
    "policeman": "policemen",
    "fisherman": "fishermen",
    "gentleman": "gentlemen",
    "goose": "geese",
    "knife": "knives",
    "shelf": "shelves",
    "potato": "potatoes",
    "tomato": "tomatoes",
}


def _regular_plural(noun: str) -> str:
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


KINDS = {noun: kind for kind, nouns in _NOUNS.items() for noun in nouns.split()}
"""What each countable noun names, by its singular."""
PLURALS = {noun: _IRREGULAR.get(noun, _regular_plural(noun)) for noun in KINDS}
"""Plural of each noun by its singular."""
SINGULARS = {plural: noun for noun, plural in PLURALS.items()}
"""Singular of each noun by its plural."""

NUMBERS = "two three four five six seven eight nine ten".split()
"""Numbers of several."""
DETERMINERS = frozenset(["a", "an", "the", "one", "some", "several", "many", *NUMBERS])
"""Words that begin a noun phrase."""
OF_AMOUNTS = frozenset("few lot lots couple bunch number bit little great while variety".split())
"""Words behind `a` that make an amount with it, so that neither `the` nor `no` may take its place."""

COLOURS = {
    "red": ("blue", "yellow"),
    "blue": ("red", "green"),
    "green": ("red", "purple"),
    "yellow": ("purple", "blue"),
    "black": ("white", "yellow"),
    "white": ("black", "red"),
    "brown": ("grey", "blue"),
    "pink": ("green", "blue"),
    "purple": ("yellow", "green"),
    "grey": ("brown", "red"),
    "gray": ("brown", "red"),
}
"""For each colour others that differ much from it."""
SIZES = {
    "small": "large",
    "large": "small",
    "big": "little",
    "little": "big",
    "tiny": "huge",
    "huge": "tiny",
    "giant": "tiny",
    "tall": "short",
    "long": "short",
}
"""The opposite of each size."""
_PAIRS = """
    open closed, full empty, old young, hot cold, wet dry, clean dirty, happy sad, dark bright, crowded deserted,
    wide narrow, thick thin, sunny rainy, rough smooth, fresh rotten
"""
ANTONYMS = {word: other for pair in _PAIRS.split(",") for word, other in (pair.split(), pair.split()[::-1])}
"""Antonyms of adjectives."""
_ACTIONS = """
    standing sitting, stands sits, smiling frowning, laughing crying, asleep awake, indoors outdoors, pushing pulling,
    opening closing, throwing catching, loading unloading, entering leaving, buying selling
"""
OPPOSITES = {word: other for pair in _ACTIONS.split(",") for word, other in (pair.split(), pair.split()[::-1])}
"""Opposites of words that need no noun behind them."""
POSTURES = frozenset("standing sitting stands sits".split())
"""Opposites that mean the same of a thing: a vase stands or sits on a table."""
ADJECTIVES = (
    frozenset(
        """
    young old new small large big little tiny huge giant tall long short open closed full empty hot cold wet dry clean
    dirty happy sad dark bright crowded wooden metal brick stone plastic grassy snowy sandy busy colorful colourful
    beautiful pretty cute fluffy furry stuffed parked adult elderly modern antique vintage round square white-haired
    baby male female public orange silver golden sunny rainy rough smooth fresh wide narrow thick thin
    """.split()
    )
    | COLOURS.keys()
)
"""Adjectives, and nouns in their place, that may stand before a noun."""

_GENDERS = """
    man woman, men women, boy girl, boys girls, gentleman lady, gentlemen ladies, he she, himself herself,
    father mother, son daughter, brother sister, husband wife, male female, groom bride, grandfather grandmother,
    policeman policewoman, businessman businesswoman, cowboy cowgirl, males females, fathers mothers, dad mom
"""
MALE = {pair.split()[0]: pair.split()[1] for pair in _GENDERS.split(",")} | {"guy": "woman", "guys": "women"}
"""Words for males with those for females; `his` and `him` come besides."""
FEMALE = {pair.split()[1]: pair.split()[0] for pair in _GENDERS.split(",")}
"""Words for females with those for males; `her` comes besides."""

SUPPORTS = frozenset(
    """
    table bed bench couch chair sofa desk bridge shelf stool dresser car truck bus blanket towel box tree
    umbrella counter porch
    """.split()
)
"""Nouns of what something can lie on or under."""
SLOPES = frozenset("hill mountain street road slope stairs ramp staircase ladder".split())
"""Nouns of what leads up and down."""
BE = frozenset("is are was were".split())
"""Forms of `be` that `not` may follow."""
AGREEING = frozenset(
    """
    is has was does looks sits stands holds rides walks plays lays lies eats runs takes jumps hits waits swings gets
    watches flies shows reads sleeps wears goes carries drinks talks uses makes throws catches leans hangs poses
    smiles stares works drives cuts tries prepares performs skis surfs skates its his her that who which
    """.split()
)
"""Words that would have to change with the number of their subject."""
PREPOSITIONS = frozenset(
    """
    on in at of with near by next behind under over beside from for to inside outside above below across through
    around along into onto against between during up down
    """.split()
)
"""Words that may follow a noun phrase and leave it whole."""
FOLLOWERS = PREPOSITIONS | BE | frozenset("and or while as that which who has have it they".split())
"""Words that end a noun phrase."""
SYMMETRIC = frozenset("and or near next beside with by alongside between both like together meets facing".split())
"""Words between two noun phrases that may be exchanged without another meaning."""
PRONOUNS = frozenset("it there he she that who".split())
"""Words that `'s` may follow in place of `is`."""
PARTS_OF_NAMES = frozenset("wine rice tea board belt sox dog dogs air tub bull beans pepper peppers".split())
"""Words that make a name with a colour or `hot` before them."""
UNBOUNDED = frozenset(
    "air area areas country field fields land market ocean plain plains range road sea sky space".split()
)
"""Nouns that can be open and never closed."""
WORN = frozenset("hat helmet jacket shirt tie".split())
RELATIONS = frozenset("back close edge front middle next side top".split())
"""Words that name a relation together with `of` or `to`, and nothing by themselves."""
GROUPS = frozenset("group crowd herd flock pile bunch body piece room area hair variety amount".split())
"""Nouns, not all of them countable, that a size may stand before."""
BEFORE_A = frozenset("such what quite half many not once twice".split())
"""Words before `a` that `the` cannot follow."""
BEFORE_ON = frozenset("put puts turned based".split())
"""Words that mean something else with `on` than a place."""
OWNED = DETERMINERS | frozenset("his her their its".split())
"""Words that begin what a preposition is about."""
PLACES = (
    (("in", "front", "of"), "behind"),
    (("on", "top", "of"), "underneath"),
    (("behind",), "in front of"),
    (("above",), "below"),
    (("below",), "above"),
    (("inside",), "outside"),
    (("outside",), "inside"),
    (("into",), "out of"),
    (("over",), "under"),
    (("towards",), "away from"),
    (("toward",), "away from"),
)
"""Prepositions and their opposites."""


def kind_of(noun: str) -> str:
    """Return what a noun names, in singular or plural; empty for an unknown one."""
    return KINDS.get(SINGULARS.get(noun, noun), "")


def takes_an(word: str) -> bool:
    """Tell whether `an` stands before a word, and not `a`."""
    return word[:1] in tuple("aeiou") and not word.startswith(("one", "uni", "use", "eu"))
