"""The texts of the checklist, made from small tables. Ours; neither they nor near-duplicates of them may ever train.

Each release looks for both (`model.export.release.learned_cases`), and its card says what it found.
"""

from collections.abc import Iterable, Sequence
from itertools import product

from model.evaluation.checklist import Case, Check
from model.labels import Sentiment

COMPANIES = ("Nestle", "Siemens", "Walmart", "Vodafone")
OTHERS = ("Pfizer", "Toyota", "Northwind Holdings", "Banco Norte")
"""Who a company is must not decide whether its news is bad."""

OF_A_COMPANY = (
    "{} raises full-year outlook after strong quarter",
    "{} shares tumble 9% after profit warning",
    "{} to report second-quarter results on Thursday",
    "{} names new head of investor relations",
    "{} recalls two million units over safety defect",
    "{} wins $400 million contract",
    "{} to cut 3,000 jobs as demand weakens",
    "{} declares quarterly dividend of $0.40 per share",
    "{} sued by shareholders over misleading accounts",
    "{} did not miss its profit target",
    "{} is no longer under investigation for fraud",
    "{} may miss its full-year profit target, analysts warn",
)

NUMBERS = (
    ("Company declares quarterly dividend of ${} per share", "0.25", "0.32"),
    ("Shares fall {}% after profit warning", "6", "11"),
    ("Shares jump {}% on takeover bid", "14", "8"),
    ("Retailer to close {} stores", "40", "120"),
    ("Supplier wins ${} million order from airline", "250", "90"),
    ("Bank to cut {} jobs", "900", "4,000"),
    ("Board to meet on {} May", "4", "17"),
    ("Firm to present at {} investor conferences this year", "three", "five"),
    ("Quarterly profit rises {}% on strong demand", "12", "27"),
    ("Carmaker recalls {} vehicles over faulty brakes", "70,000", "310,000"),
)

MORE_IS_BETTER = ("Quarterly profit", "Net sales", "Operating profit", "Order intake", "Free cash flow", "New orders")
MILLIONS = (("24.1", "18.6"), ("9.3", "7.8"), ("131", "112"))
"""The larger first."""

MORE_IS_WORSE = (
    ("Net loss", "$131 million", "$112 million"),
    ("Net loss", "EUR 9.3 million", "EUR 7.8 million"),
    ("The unemployment rate", "7.8%", "6.3%"),
    ("The unemployment rate", "4.4%", "4.1%"),
    ("Bad loans", "5.1% of lending", "3.9% of lending"),
    ("Bad loans", "$2.2 billion", "$1.4 billion"),
    ("The number of bankruptcies", "1,240", "980"),
    ("The number of bankruptcies", "87", "61"),
    ("Jobless claims", "261,000", "224,000"),
    ("Jobless claims", "1.3 million", "0.9 million"),
)

WHAT_WAS_EXPECTED = (
    "quarterly profit estimates",
    "revenue expectations",
    "delivery targets",
    "earnings forecasts",
    "Wall Street sales estimates",
)

FEARS = ("recession", "inflation", "default", "contagion", "supply shortage", "trade war", "war")

NEGATED_GOOD = (
    ("{} is profitable", "{} is no longer profitable"),
    ("{} will pay a dividend this year", "{} will not pay a dividend this year"),
    ("{} is on track to meet its full-year target", "{} is no longer on track to meet its full-year target"),
    ("{} expects sales to grow this year", "{} does not expect sales to grow this year"),
    ("{} says demand has recovered", "{} says demand has not recovered"),
    ("{} can repay its debt in time", "{} cannot repay its debt in time"),
    ("{} wins approval for new drug", "{} fails to win approval for new drug"),
)

NEGATED_BAD = (
    ("{} no longer faces bankruptcy", "{} faces bankruptcy"),
    ("Regulator will not fine {}", "Regulator will fine {}"),
    ("{} did not miss its profit target", "{} missed its profit target"),
    ("{} says it will not cut jobs", "{} says it will cut jobs"),
    ("{} is no longer under investigation for fraud", "{} is under investigation for fraud"),
    ("{} avoids default on its bonds", "{} defaults on its bonds"),
)

HEDGED_BAD = (
    "{} may miss its full-year profit target, analysts warn",
    "{} could be forced to cut its dividend",
    "{} might default on its bonds next year, rating agency says",
    "{} is said to consider cutting thousands of jobs",
    "Doubts grow whether {} can survive without new capital",
)

HEDGED_GOOD = (
    "{} may beat its full-year profit target, analysts say",
    "{} could raise its dividend next year",
    "{} might win record order, sources say",
)

GOOD_AND_BAD = (
    ("Broker upgrades chipmaker to buy and lifts price target", "Broker downgrades chipmaker to sell, cuts target"),
    ("Fed signals rate cuts as inflation cools", "Fed warns of painful rate hikes as inflation surges"),
    ("New phone sells out within hours of launch", "New phone recalled after batteries catch fire"),
    ("City's bonds upgraded as finances improve", "City misses bond payment as cash runs out"),
    ("Utility lifts dividend for tenth straight year", "Utility scraps dividend to save cash"),
    ("Quarterly profit doubles on record sales", "Quarterly profit collapses as sales slump"),
    ("Oil discovery set to double group's output", "Oil spill forces group to shut platform"),
    ("Lender comes through stress test unscathed", "Bank fails stress test and halts withdrawals"),
    ("Rupee strengthens to one-year high", "Rupee crashes to record low"),
    ("Volunteers rescue all passengers from sinking ferry", "Dozens die as ferry sinks in storm"),
    ("Miner lifts gold reserves after rich find", "Miner halts gold output after deadly tunnel collapse"),
    ("Shares soar 40% in first day of trading after IPO", "Shares sink below offer price in dismal IPO"),
    ("Court clears lender of all fraud charges", "Court convicts lender's chief of fraud"),
    ("Shareholders cheer generous takeover offer", "Takeover collapses as buyer walks away"),
    ("Economy grows faster than expected", "Economy contracts for third quarter running"),
    ("Stocks rally for fifth day to all-time high", "Stocks plunge in worst day since 2008"),
    ("Leaders sign peace accord, ending years of war", "Peace talks collapse as troops cross border"),
    ("Star executive returns to lead turnaround", "Chief executive resigns amid accounting scandal"),
    ("$TSLA looking strong, loading up on calls", "$TSLA looks awful, dumping all my shares"),
    ("Airline's shares jump 12%", "Airline's shares slump 12%"),
)
"""One pair a topic, in the order of the labels: what a text is about must not decide its sentiment."""

BAD_NEWS_OF_NO_MARKET = (
    "Hurricane kills dozens and leaves a million without power",
    "Senator charged with taking bribes",
    "Earthquake destroys thousands of homes",
    "Hospitals overwhelmed as epidemic spreads",
    "Police open fire on protesters, several dead",
    "Famine threatens millions, aid agencies warn",
    "Factory fire kills nine workers",
    "Government collapses after no-confidence vote",
    "Missile strikes hit capital for third night",
    "Hackers steal data of millions of patients",
)

PLAIN_FACTS = (
    "Court to hear appeal on Monday",
    "Parliament to vote on budget next week",
    "Annual meeting of shareholders to take place in May",
    "Central bank publishes minutes of its June meeting",
    "Ministry names members of advisory panel",
    "Bank moves its head office to another floor",
    "President to visit neighbouring country in autumn",
    "Statistics office to publish figures at 10 a.m.",
    "Fund reports holdings as of end of quarter",
    "Airline changes departure times of two flights",
)


def said(*allowed: Sentiment, texts: Iterable[str]) -> tuple[Case, ...]:
    """A case a text, of which any of these may be said."""
    return tuple(Case(text, allowed=allowed) for text in texts)


def filled(templates: Iterable[str], words: Iterable[str]) -> list[str]:
    """Every template with every word in it."""
    return [template.format(word) for template, word in product(templates, words)]


def pairs(templates: Iterable[tuple[str, str]], words: Iterable[str]) -> tuple[Case, ...]:
    """Every pair of a better and a worse text, with every word in it."""
    return tuple(Case(better.format(word), worse.format(word)) for (better, worse), word in product(templates, words))


def swapped(templates: Iterable[str], ones: Sequence[str], others: Sequence[str]) -> tuple[Case, ...]:
    """Every template with one word in it and, to compare, with the other."""
    return tuple(
        Case(template.format(one), template.format(other))
        for template, (one, other) in product(templates, zip(ones, others, strict=True))
    )


SWAPPED_COMPANIES = swapped(OF_A_COMPANY, COMPANIES, OTHERS)

ROSE_OR_FELL = tuple(
    Case(f"{what} rose to {high} million from {low} million", f"{what} fell to {low} million from {high} million")
    for what, (high, low) in product(MORE_IS_BETTER, MILLIONS)
)

LOSSES = [(company, *figures) for company, figures in product(COMPANIES, MILLIONS)]

CHECKS = (
    Check("another company, the same sentiment", "invariance", SWAPPED_COMPANIES),
    Check("another company, the same topic", "invariance", SWAPPED_COMPANIES, head="topic"),
    Check(
        "another number, the same sentiment",
        "invariance",
        tuple(Case(template.format(one), template.format(other)) for template, one, other in NUMBERS),
    ),
    Check("rose is better than fell", "direction", ROSE_OR_FELL),
    Check(
        "fell is better than rose, of what is bad",
        "direction",
        tuple(
            Case(f"{what} fell to {low} from {high}", f"{what} rose to {high} from {low}")
            for what, high, low in MORE_IS_WORSE
        ),
    ),
    Check(
        "a beat is positive",
        "minimum functionality",
        said("positive", texts=filled(("Retailer beats {}", "Results top {}"), WHAT_WAS_EXPECTED)),
    ),
    Check(
        "a miss is negative",
        "minimum functionality",
        said("negative", texts=filled(("Retailer misses {}", "Results fall short of {}"), WHAT_WAS_EXPECTED)),
    ),
    Check("not and no longer take the good away", "direction", pairs(NEGATED_GOOD, COMPANIES[:2])),
    Check("not and no longer take the bad away", "direction", pairs(NEGATED_BAD, COMPANIES[:2])),
    Check(
        "perhaps bad is not positive",
        "minimum functionality",
        said("negative", "neutral", texts=filled(HEDGED_BAD, COMPANIES[:2])),
    ),
    Check(
        "perhaps good is not negative",
        "minimum functionality",
        said("positive", "neutral", texts=filled(HEDGED_GOOD, COMPANIES[:2])),
    ),
    Check(
        "a loss that narrows is not negative",
        "minimum functionality",
        said(
            "positive",
            "neutral",
            texts=(f"{one}'s net loss narrowed to ${low} million from ${high} million" for one, high, low in LOSSES),
        ),
    ),
    Check(
        "a loss that widens is negative",
        "minimum functionality",
        said(
            "negative",
            texts=(f"{one}'s net loss widened to ${high} million from ${low} million" for one, high, low in LOSSES),
        ),
    ),
    Check(
        "fears that ease are better than fears that grow",
        "direction",
        pairs(
            (("Fears of {} ease", "Fears of {} grow"), ("Investors shrug off {} worries", "Investors fret over {}")),
            FEARS,
        ),
    ),
    Check("good news is better than bad news, topic by topic", "direction", pairs(GOOD_AND_BAD, ("",))),
    Check("bad news of no market is negative", "minimum functionality", said("negative", texts=BAD_NEWS_OF_NO_MARKET)),
    Check("a plain fact is neutral", "minimum functionality", said("neutral", texts=PLAIN_FACTS)),
)
