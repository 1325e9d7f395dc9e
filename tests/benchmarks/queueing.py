"""How long a document waits for a server that takes all that waits, as the hot loops do: a formula, and a check of it.

A batch of n takes `fixed + each * n` seconds; documents come at random (Poisson), `rate` a second. With
`rho = rate * each`, the server keeps up where rho < 1, whatever `fixed` is: a busier server takes larger batches. A
limit of b documents a batch lowers that to `rate * (fixed + each * b) < b`.

The mean time from a document's arrival to the end of its batch, without a limit, is at most

    3/2 * fixed / (1 - rho)  +  each/2 * (2 + rho) / (1 - rho^2)

which is exact for a server that goes round without documents too, each empty round costing `fixed`. Derived: a
document comes into some batch's service of length T. It waits for the rest, E[T^2] / 2E[T] in the mean, and then for
its own batch, which holds what came in T: `fixed + each * (1 + rate * E[T^2] / E[T])`. In the steady state
E[T] = fixed / (1 - rho) and Var[T] = each * rho * E[T] / (1 - rho^2). It is the second bound of Inoue, "Queueing
analysis of GPU-based inference servers with dynamic batching: a closed-form characterization", Performance Evaluation,
2021.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class BatchServer:
    """What a batch costs: `fixed` seconds, and `each` a document; at most `limit` documents, None for no limit."""

    fixed: float
    each: float
    limit: int | None = None

    def utilisation(self, rate: float) -> float:
        """Of its highest rate; below 1 where it keeps up."""
        return rate / self.highest_rate

    @property
    def highest_rate(self) -> float:
        """Documents a second."""
        return 1 / self.each if self.limit is None else self.limit / (self.fixed + self.each * self.limit)

    def mean_latency(self, rate: float) -> float:
        """Seconds from arrival to the end of the batch, in the mean, at most; for no limit, or one seldom reached.

        Raises `ValueError` where it does not keep up.
        """
        if self.utilisation(rate) >= 1:
            raise ValueError(f"{rate:,.0f} documents/s are more than {self.highest_rate:,.0f}: the queue has no end")
        rho = rate * self.each
        return 1.5 * self.fixed / (1 - rho) + self.each / 2 * (2 + rho) / (1 - rho * rho)


def single_latency(rate: float, service: float) -> float:
    """Mean seconds in an M/D/1 queue, by Pollaczek and Khinchine: one document at a time."""
    rho = rate * service
    if rho >= 1:
        raise ValueError(f"utilisation {rho:.2f}: the queue has no end")
    return service + rho * service / (2 * (1 - rho))


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation found."""

    mean_latency: float
    """Seconds."""
    p99: float
    mean_batch: float
    busy: float
    """Share of the time that the server worked."""


def simulate(server: BatchServer, rate: float, *, documents: int, seed: int, idle_rounds: bool = False) -> Simulated:
    """Documents that come at random, served in batches of all that waits; the first tenth does not count.

    With `idle_rounds` the server goes round without documents too, else it waits for one.
    """
    random = Random(seed)
    arrivals = []
    at = 0.0
    for _ in range(documents):
        at += random.expovariate(rate)
        arrivals.append(at)
    latencies: list[float] = []
    clock = worked = 0.0
    taken = batches = 0
    while taken < documents:
        if arrivals[taken] > clock and not idle_rounds:
            clock = arrivals[taken]
        end = taken
        while end < documents and arrivals[end] <= clock and (server.limit is None or end - taken < server.limit):
            end += 1
        service = server.fixed + server.each * (end - taken)
        clock += service
        worked += service
        if end > taken:
            batches += 1
            latencies += [clock - arrival for arrival in arrivals[taken:end]]
        taken = end
    later = sorted(latencies[documents // 10 :])
    return Simulated(sum(later) / len(later), later[int(0.99 * len(later))], documents / batches, worked / clock)
