"""Made-up texts as long as real ones, to measure speed on where no own are given."""

from random import Random

MEDIAN_WORDS = 14
SPREAD = 0.45
"""Of the logarithm of the number of words. Headlines and posts together are some 20 tokens, one in twenty beyond 40."""

WORDS = (
    "shares bank profit quarter rises falls oil the a of to in on as after for with by says report dividend deal merger"
    " inflation rates fed market stocks $ACME billion 4.5% 2026 outlook cuts raises loss revenue guidance analysts"
    " upgrade downgrade lender regulator crypto bond yields trade tariff jobs economy growth chipmaker airline court"
    " investors CEO steps down restructuring bankruptcy earnings beat miss expectations forecast demand supply"
)


def sample_texts(count: int, seed: int = 1) -> list[str]:
    """`count` texts of common words, their numbers of words log-normal; the same ones for one seed."""
    random = Random(seed)  # noqa: S311 # nothing is kept secret by it
    words = WORDS.split()
    lengths = (round(random.lognormvariate(0, SPREAD) * MEDIAN_WORDS) for _ in range(count))
    return [" ".join(random.choices(words, k=max(length, 2))) for length in lengths]
