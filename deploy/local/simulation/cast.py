"""Who and how much a story is about: every slot is drawn when it is first asked for, and then stays."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final

from deploy.local.simulation import world

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
QUARTERS: Final = {"Q1": "first-quarter", "Q2": "second-quarter", "Q3": "third-quarter", "Q4": "fourth-quarter"}
ROLES: Final = (
    "chief financial officer",
    "chief operating officer",
    "chief technology officer",
    "head of sales",
    "general counsel",
    "president",
    "head of strategy",
)
METALS: Final = ("copper", "nickel", "zinc", "lithium", "aluminium", "tin", "cobalt")
DATA: Final = (
    "inflation data",
    "jobs data",
    "rate decision",
    "factory orders",
    "retail sales figures",
    "trade figures",
    "growth figures",
)
SECTORS: Final = (
    *("banks", "chipmakers", "miners", "retailers", "airlines", "carmakers", "utilities"),
    *("homebuilders", "drugmakers", "insurers", "brokers", "software makers"),
)


class Cast(Mapping[str, object]):
    """The slots of one story. Equal generators in equal states give equal stories."""

    def __init__(self, rng: Random, given: Mapping[str, object] | None = None) -> None:
        self._rng = rng
        self._drawn: dict[str, object] = dict(given or {})

    def __getitem__(self, slot: str) -> object:
        if slot not in self._drawn:
            self._drawn[slot] = SLOTS[slot](self._rng, self)
        return self._drawn[slot]

    def __iter__(self) -> Iterator[str]:
        return iter(SLOTS)

    def __len__(self) -> int:
        return len(SLOTS)

    def price(self) -> float:
        """The share price that every price of the story is near, dollars."""
        value = self["_price"]
        assert isinstance(value, float)
        return value


Draw = Callable[[Random, Cast], object]


def _between(low: float, high: float, form: str) -> Draw:
    return lambda rng, _: form.format(rng.uniform(low, high))


def _one_of(choices: tuple[object, ...]) -> Draw:
    return lambda rng, _: rng.choice(choices)


def _firm(endings: tuple[str, ...] = ()) -> Draw:
    return lambda rng, _: world.firm_called(rng, endings) if endings else world.firm(rng)


SLOTS: Final[dict[str, Draw]] = {
    "company": _firm(),
    "other": _firm(),
    "third": _firm(),
    "bank": _firm(world.BANKS),
    "rival": _firm(world.BANKS),
    "driller": _firm(world.DRILLERS),
    "miner": _firm(world.MINERS),
    "broker": lambda rng, _: rng.choice(world.names().brokers),
    "agency": lambda rng, _: rng.choice(world.names().agencies),
    "person": lambda rng, _: world.person(rng),
    "person2": lambda rng, _: world.person(rng),
    "handle": lambda rng, _: world.handle(rng),
    "role": _one_of(ROLES),
    "country": lambda rng, _: rng.choice(world.names().countries),
    "abroad": lambda rng, cast: rng.choice([c for c in world.names().countries if c != cast["country"]]),
    "city": lambda rng, _: rng.choice(world.names().cities),
    "metal": _one_of(METALS),
    "data": _one_of(DATA),
    "sector": _one_of(SECTORS),
    "years": _one_of((2, 3, 5, 7, 10, 12, 20, 30)),
    "weeks": _one_of(("weeks", "months", "a year", "two years")),
    "month": _one_of(MONTHS),
    "weekday": _one_of(WEEKDAYS),
    "day": lambda rng, _: rng.randint(1, 28),
    "q": _one_of(tuple(QUARTERS)),
    "quarter": lambda _, cast: QUARTERS[str(cast["q"])],
    "small": _between(0.1, 0.9, "{:.1f}%"),
    "small2": _between(0.1, 0.9, "{:.1f}%"),
    "percent": _between(1.1, 9.8, "{:.1f}%"),
    "big": _between(11, 48, "{:.0f}%"),
    "odds": _between(12, 93, "{:.0f}%"),
    "bps": _one_of((25, 50, 75)),
    "rate": lambda rng, _: f"{rng.randrange(4, 26) / 4:.2f}%",
    "yield": _between(1.8, 6.4, "{:.2f}%"),
    "money": lambda rng, _: f"${rng.randrange(20, 980)} million",
    "billions": _between(1.1, 48, "${:.1f} billion"),
    "cash": lambda rng, _: f"${rng.randrange(2, 20) * 50}",
    "insured": lambda rng, _: f"${rng.choice((85, 100, 150, 250))},000",
    "_price": lambda rng, _: rng.uniform(12, 240),
    "price": lambda _, cast: f"${cast.price():.2f}",
    "target": lambda rng, cast: f"${cast.price() * rng.uniform(1.1, 1.4):.0f}",
    "cut": lambda rng, cast: f"${cast.price() * rng.uniform(0.6, 0.9):.0f}",
    "eps": _between(0.12, 4.8, "${:.2f}"),
    "beat": _between(0.01, 0.6, "${:.2f}"),
    "div": _between(0.05, 1.9, "${:.2f}"),
    "barrel": _between(52, 118, "${:.2f}"),
    "tonne": lambda rng, _: f"${rng.randrange(1800, 9900):,}",
    "ounce": lambda rng, _: f"${rng.randrange(1600, 2900):,}",
    "fx": _between(0.94, 1.18, "{:.4f}"),
    "level": lambda rng, _: f"{rng.randrange(1200, 24000):,}",
    "points": lambda rng, _: rng.randrange(35, 780),
    "jobs": lambda rng, _: f"{rng.randrange(12, 480) * 100:,}",
    "dead": lambda rng, _: rng.randint(4, 48),
}
"""How each slot of the templates is drawn."""
