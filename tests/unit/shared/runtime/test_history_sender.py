"""Parts of a history are sent at most ten ahead, and again until each is answered."""

from __future__ import annotations

from itertools import pairwise

from shared.contract.messages import HistoryAnswer, HistoryBatch
from shared.contract.texts import technical
from shared.runtime.history_sender import MAX_WAIT_ROUNDS, PARTS_AHEAD, HistorySender
from tests.unit.factories import minute_at


def sender(parts: int) -> HistorySender:
    def make_part(number: int, transfer: str) -> HistoryBatch:
        minutes = ((minute_at(number), 1.0, None),)
        return HistoryBatch(
            site="site1", sensor="001", source="import", part=number, of=parts, minutes=minutes, transfer=transfer
        )

    return HistorySender(parts, make_part)


def due(history: HistorySender) -> list[int]:
    return [part.part for part in history.next_parts()]


def answer(history: HistorySender, *parts: int, transfer: str = "", stored: bool = True) -> None:
    for part in parts:
        answered = HistoryAnswer(
            site="site1", transfer=transfer or history.transfer, part=part, stored=stored, reason=technical("")
        )
        history.on_answer(answered)


def test_no_more_than_ten_parts_wait_for_an_answer() -> None:
    history = sender(30)
    assert due(history) == list(range(1, PARTS_AHEAD + 1))
    assert due(history) == []
    answer(history, 1, 2)
    assert due(history) == [11, 12]


def test_a_part_without_an_answer_before_that_of_a_later_part_is_sent_again() -> None:
    history = sender(30)
    due(history)
    answer(history, 1, 4)
    assert due(history) == [2, 3, 11, 12]
    answer(history, 5, 6, 7, 8, 9, 10, 2, 3)
    assert due(history) == list(range(13, 21))


def test_the_last_part_waits_for_all_others() -> None:
    history = sender(3)
    assert due(history) == [1, 2]
    answer(history, 1)
    assert due(history) == []
    answer(history, 2)
    assert due(history) == [3]
    assert not history.is_complete
    answer(history, 3)
    assert history.is_complete


def test_unanswered_parts_are_sent_again_less_and_less_often() -> None:
    history = sender(4)
    due(history)
    answer(history, 1)
    rounds = [number for number in range(1, 300) if history.on_round() and due(history) == [2, 3]]
    assert rounds[:5] == [2, 5, 10, 19, 36]
    assert max(after - before for before, after in pairwise(rounds)) == MAX_WAIT_ROUNDS + 1
    answer(history, 2)
    assert [history.on_round() for _ in range(2)] == [0, 1]


def test_answers_of_another_transfer_and_repeated_ones_count_for_nothing() -> None:
    history = sender(4)
    due(history)
    answer(history, 1, transfer="another")
    answer(history, 4)
    assert history.answered == 0
    answer(history, 1, 1)
    assert history.answered == 1


def test_a_part_that_cannot_be_stored_is_not_sent_again() -> None:
    history = sender(2)
    due(history)
    answer(history, 1, stored=False)
    assert due(history) == [2]
    assert [part.part for part in history.rejected] == [1]
