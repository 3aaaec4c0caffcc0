"""How many small CloudEvents a second one core decodes out of batches of 1,000; run: python bench/intake_decode.py

Prints the figure, and its ratio to what orjson alone needs to parse the same bytes (the upper bound).
"""

import time
from collections.abc import Callable
from statistics import median

import orjson

from beforehand.events.intake.cloudevents import decode_batch

BATCH = 1_000
ROUNDS = 60


def batch_body(*, extension: bool) -> bytes:
    """A batch like those of a shop's order system: about 250 bytes an event."""
    return orjson.dumps(
        [
            {
                "specversion": "1.0",
                "id": f"7f9c0d2e-{n:08d}",
                "source": "https://shop.example/orders",
                "type": "order.shipped",
                "time": f"2026-03-01T14:{n % 60:02d}:05.123Z",
                "subject": f"order/{n}",
                "customer": f"C-{n:06d}",
                "data": {"parcel": f"P{n}", "items": n % 7, "carrier": "PostNL", "express": n % 2 == 0},
            }
            | (
                {"traceparent": f"00-{n:032x}-00f067aa0ba902b7-01", "datacontenttype": "application/json"}
                if extension
                else {}
            )
            for n in range(BATCH)
        ]
    )


def events_a_second(decode: Callable[[bytes], object], body: bytes) -> tuple[float, float]:
    """Median and highest rate over the rounds, in events a second of CPU time."""
    rates = []
    for _ in range(ROUNDS):
        before = time.process_time()
        decode(body)
        rates.append(BATCH / (time.process_time() - before))
    return median(rates), max(rates)


def main() -> None:
    for name, body in (("plain", batch_body(extension=False)), ("with extensions", batch_body(extension=True))):
        usual, fast = events_a_second(decode_batch, body)
        _, bound = events_a_second(orjson.loads, body)
        print(
            f"{name}: {BATCH} events, {len(body) // BATCH} bytes each: {fast:,.0f} events/s at best, {usual:,.0f} in the median;"
            f" {fast / bound:.2f} of orjson alone"
        )


if __name__ == "__main__":
    main()
