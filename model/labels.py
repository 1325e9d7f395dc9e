"""What the two heads say, in the order of their logits. A bundle whose labels differ is refused."""

from typing import Final, Literal

Head = Literal["topic", "sentiment"]

Sentiment = Literal["negative", "neutral", "positive"]

SENTIMENTS: Final[tuple[Sentiment, ...]] = ("negative", "neutral", "positive")
"""Every tuple of sentiment probabilities stands in this order."""

TOPICS: Final = (
    "Analyst Update",
    "Fed | Central Banks",
    "Company | Product News",
    "Treasuries | Corporate Debt",
    "Dividend",
    "Earnings",
    "Energy | Oil",
    "Financials",
    "Currencies",
    "General News | Opinion",
    "Gold | Metals | Materials",
    "IPO",
    "Legal | Regulation",
    "M&A | Investments",
    "Macro",
    "Markets",
    "Politics",
    "Personnel Change",
    "Stock Commentary",
    "Stock Movement",
)
