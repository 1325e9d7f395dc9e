"""How much each topic is usually written about, and in what mood: the calm that a crisis stands out from."""

from typing import Final, NamedTuple


class Usual(NamedTuple):
    """One topic on a calm day."""

    weight: float
    """Its part of all stories, against the sum of all weights."""
    negative: float
    """Share of its stories that are negative, 0 to 1."""
    positive: float
    social: float
    """Share of its stories that are posts rather than articles."""


USUAL: Final[dict[str, Usual]] = {
    "Analyst Update": Usual(4, 0.24, 0.36, 0.35),
    "Fed | Central Banks": Usual(5, 0.20, 0.25, 0.35),
    "Company | Product News": Usual(9, 0.16, 0.34, 0.40),
    "Treasuries | Corporate Debt": Usual(4, 0.24, 0.26, 0.30),
    "Dividend": Usual(4, 0.12, 0.38, 0.30),
    "Earnings": Usual(5, 0.18, 0.20, 0.40),
    "Energy | Oil": Usual(5, 0.30, 0.30, 0.40),
    "Financials": Usual(7, 0.22, 0.40, 0.40),
    "Currencies": Usual(4, 0.28, 0.30, 0.45),
    "General News | Opinion": Usual(6, 0.22, 0.12, 0.45),
    "Gold | Metals | Materials": Usual(4, 0.26, 0.34, 0.40),
    "IPO": Usual(3, 0.20, 0.30, 0.30),
    "Legal | Regulation": Usual(5, 0.34, 0.10, 0.30),
    "M&A | Investments": Usual(5, 0.15, 0.20, 0.30),
    "Macro": Usual(6, 0.28, 0.30, 0.35),
    "Markets": Usual(6, 0.28, 0.34, 0.50),
    "Politics": Usual(5, 0.26, 0.12, 0.45),
    "Personnel Change": Usual(4, 0.12, 0.12, 0.25),
    "Stock Commentary": Usual(7, 0.24, 0.38, 0.75),
    "Stock Movement": Usual(6, 0.30, 0.40, 0.55),
}
"""By the classifier's topics."""
