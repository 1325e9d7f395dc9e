"""The invented world that the headlines are about: firms, people, places. None of them exists."""

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final, NamedTuple

from deploy.local.simulation.script import read_toml

BANKS: Final = ("Bank", "Savings", "Bancorp", "Trust Bank", "Savings Bank", "National Bank")
DRILLERS: Final = ("Petroleum", "Energy", "Oil & Gas", "Exploration")
MINERS: Final = ("Mining", "Minerals", "Copper", "Gold")


@dataclass(frozen=True, slots=True)
class Firm:
    """An invented firm; prints as its name."""

    name: str
    ticker: str
    product: str = ""
    """What it sells, with no article: `heat pump`."""

    def __str__(self) -> str:
        return self.name


class Country(NamedTuple):
    """An invented country; prints as its name."""

    name: str
    nation: str
    """The adjective."""
    capital: str
    money: str

    def __str__(self) -> str:
        return self.name


class Trade(NamedTuple):
    """How firms of one trade are called, and what they sell."""

    endings: tuple[str, ...]
    products: tuple[str, ...]


class Names(NamedTuple):
    """All names there are."""

    stems: tuple[str, ...]
    trades: tuple[Trade, ...]
    brokers: tuple[str, ...]
    agencies: tuple[str, ...]
    countries: tuple[Country, ...]
    cities: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    handles: tuple[str, ...]


@cache
def names() -> Names:
    """The names in the script."""
    table = read_toml("names.toml")
    trades = tuple(Trade(tuple(trade["endings"]), tuple(trade["products"])) for trade in table.pop("trades"))
    countries = tuple(Country(**country) for country in table.pop("countries"))
    return Names(trades=trades, countries=countries, **{key: tuple(values) for key, values in table.items()})


def ticker_of(name: str) -> str:
    """A ticker of up to four letters: the first letter of the name, then its consonants."""
    letters = [letter for letter in name.upper() if letter.isalpha()]
    rest = [letter for letter in letters[1:] if letter not in "AEIOUY"]
    return "".join([letters[0], *rest])[:4]


def firm(rng: Random) -> Firm:
    """A firm of any trade but banking, oil and mining."""
    trade = rng.choice(names().trades)
    name = f"{rng.choice(names().stems)} {rng.choice(trade.endings)}"
    return Firm(name, ticker_of(name), rng.choice(trade.products))


def firm_called(rng: Random, endings: tuple[str, ...]) -> Firm:
    """A firm whose name ends in one of `endings`."""
    name = f"{rng.choice(names().stems)} {rng.choice(endings)}"
    return Firm(name, ticker_of(name))


def person(rng: Random) -> str:
    """First and last name."""
    return f"{rng.choice(names().first_names)} {rng.choice(names().last_names)}"


def handle(rng: Random) -> str:
    """A social account without its `@`."""
    words = names().handles
    end = rng.choice(("", "_", "s", "trader", "watch", "guy", "desk")) + rng.choice(("", str(rng.randrange(2, 99))))
    return f"{rng.choice(words)}{rng.choice(words)}{end}"
