"""How fast the machine is at the moment, by a fixed piece of work.

A virtual machine's neighbours slow it for minutes at a time; here the same program was seen to take 1.8 times as much
processor time. Rows that are measured one after another compare only where that is taken out.
"""

import json
from time import process_time

RECORDS = 20_000
RECORD = json.dumps(
    {"id": "0" * 32, "text": "Shares of a lender fell after its report. " * 16, "topic": 3, "share": 0.25}
)


def pace() -> float:
    """Processor time, µs, of decoding, counting and encoding one record. Takes some 0.3 seconds."""
    counts: dict[int, int] = {}
    began = process_time()
    for place in range(RECORDS):
        record = json.loads(RECORD)
        topic = record["topic"] + place % 20
        counts[topic] = counts.get(topic, 0) + 1
        json.dumps(record)
    return (process_time() - began) / RECORDS * 1e6
