"""What every `Producer` promises. A test module per producer inherits the suite and says how to make one."""

from abc import ABC, abstractmethod
from threading import Event, Thread

import pytest

from ingest.producer import Producer
from stream.errors import BrokerError


class ProducerContract(ABC):
    """The suite. `make` gives a new producer, `records` what its topic holds by now, in the order of each key."""

    @abstractmethod
    def make(self) -> Producer: ...

    @abstractmethod
    def records(self) -> list[tuple[bytes, bytes]]: ...

    def test_what_is_flushed_stands_in_the_topic(self) -> None:
        producer = self.make()
        producer.send(b"k", b"v", lambda: None)
        producer.flush()
        assert self.records() == [(b"k", b"v")]
        producer.close()

    def test_every_record_is_acknowledged_once_by_the_time_of_the_flush(self) -> None:
        producer = self.make()
        acknowledged: list[int] = []
        for number in range(1000):
            producer.send(b"k%d" % (number % 7), b"v%d" % number, lambda number=number: acknowledged.append(number))  # type: ignore[misc]
        producer.flush()
        assert sorted(acknowledged) == list(range(1000))
        producer.close()

    def test_records_of_one_key_keep_their_order(self) -> None:
        producer = self.make()
        for number in range(500):
            producer.send(b"same", b"%d" % number, lambda: None)
        producer.flush()
        assert [int(value) for _, value in self.records()] == list(range(500))
        producer.close()

    def test_threads_may_send_at_once(self) -> None:
        producer = self.make()

        def send(name: int) -> None:
            for number in range(200):
                producer.send(b"t%d" % name, b"%d" % number, lambda: None)

        threads = [Thread(target=send, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        producer.flush()
        found = self.records()
        for name in range(4):
            assert [int(value) for key, value in found if key == b"t%d" % name] == list(range(200))
        producer.close()

    def test_a_large_record_arrives_whole(self) -> None:
        producer = self.make()
        producer.send(b"k", b"x" * 3_000_000, lambda: None)
        producer.flush()
        assert len(self.records()[0][1]) == 3_000_000
        producer.close()

    def test_flushing_nothing_returns_at_once(self) -> None:
        producer = self.make()
        producer.flush()
        assert self.records() == []
        producer.close()

    def test_a_closed_producer_takes_nothing(self) -> None:
        producer = self.make()
        producer.close()
        acknowledged = Event()
        with pytest.raises(BrokerError):
            producer.send(b"k", b"v", acknowledged.set)
        assert not acknowledged.is_set()

    def test_closing_twice_does_no_harm(self) -> None:
        producer = self.make()
        producer.close()
        producer.close()
