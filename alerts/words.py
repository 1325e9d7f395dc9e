"""Numbers as people say them. Pure."""

WEEK = 7 * 24 * 60
DAY = 24 * 60
HOUR = 60


def rarity(chance: float) -> str:
    """A probability as one in so many, with two digits that count."""
    if chance <= 1e-9:
        return "less than one in a billion"
    odds = 1 / chance
    return f"one in {round(odds, 2 - len(str(int(odds)))):,.0f}"


def length(minutes: int) -> str:
    """The length of a window, exactly, after "in the last": `hour`, `15 minutes`, `7 days`."""
    for size, one, many in ((2 * DAY, "2 days", "days"), (HOUR, "hour", "hours"), (1, "minute", "minutes")):
        if minutes == size:
            return one
        if minutes % min(size, DAY) == 0 and minutes >= size:
            return f"{minutes // min(size, DAY)} {many}"
    raise ValueError(f"no window is {minutes} minutes long")


def duration(minutes: int) -> str:
    """How long something took, in the largest unit of which it is at least two."""
    for size, many in ((DAY, "days"), (HOUR, "hours")):
        if minutes >= 2 * size:
            return f"{round(minutes / size)} {many}"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
