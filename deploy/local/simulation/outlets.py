"""Who publishes: five desks with a feed each, and one social network."""

from typing import Final, Literal, NamedTuple


class Outlet(NamedTuple):
    """One publisher of articles."""

    key: str
    """Stands in its addresses."""
    name: str
    form: Literal["rss", "atom"]
    """What its feed is written in."""
    topics: frozenset[str]
    """What it writes about itself; empty: everything."""


WIRE: Final = Outlet("wire", "Meridian Wire", "rss", frozenset())
BUSINESS: Final = Outlet(
    "ledger",
    "The Northgate Ledger",
    "atom",
    frozenset(
        {
            "Company | Product News",
            "Dividend",
            "Earnings",
            "Financials",
            "IPO",
            "M&A | Investments",
            "Personnel Change",
        }
    ),
)
OFFICIAL: Final = Outlet(
    "public-finance",
    "Public Finance Desk",
    "rss",
    frozenset(
        {
            "Currencies",
            "Fed | Central Banks",
            "Financials",
            "Legal | Regulation",
            "Macro",
            "Treasuries | Corporate Debt",
        }
    ),
)
MARKETS: Final = Outlet(
    "tape",
    "Tape and Ticker",
    "atom",
    frozenset(
        {
            "Analyst Update",
            "Currencies",
            "Energy | Oil",
            "Gold | Metals | Materials",
            "Markets",
            "Stock Commentary",
            "Stock Movement",
        }
    ),
)
GENERAL: Final = Outlet(
    "courier",
    "Harbour Courier",
    "rss",
    frozenset({"Energy | Oil", "General News | Opinion", "Macro", "Politics"}),
)

OUTLETS: Final = (WIRE, BUSINESS, OFFICIAL, MARKETS, GENERAL)
BY_KEY: Final = {outlet.key: outlet for outlet in OUTLETS}

SOCIAL: Final = "chirp"
"""The social network's key, where an article has its outlet's."""


def desks_for(topic: str) -> tuple[Outlet, ...]:
    """The outlets that cover a topic, the wire first."""
    return tuple(outlet for outlet in OUTLETS if not outlet.topics or topic in outlet.topics)
