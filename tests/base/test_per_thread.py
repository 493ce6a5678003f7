"""Every thread has its own, and all are closed."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier

from mitozoo.base.per_thread import PerThread


def test_threads_have_their_own_and_keep_it():
    numbers, closed, both = count(), [], Barrier(2)
    things = PerThread(lambda: next(numbers), closed.append)

    def ask(_):
        first = things.get()
        both.wait(10)
        return first, things.get()

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(ask, range(2)))
    assert found == [(0, 0), (1, 1)]
    things.close()
    assert sorted(closed) == [0, 1]


def test_what_is_dropped_is_closed_once_and_made_anew():
    numbers, closed = count(), []
    things = PerThread(lambda: next(numbers), closed.append)
    things.drop()
    assert things.get() == 0
    things.drop()
    assert closed == [0] and things.get() == 1
    things.close()
    things.close()
    assert closed == [0, 1] and things.get() == 2


def test_what_cannot_be_made_leaves_nothing():
    answers, closed = iter([ZeroDivisionError, 5]), []

    def make():
        answer = next(answers)
        if answer is ZeroDivisionError:
            raise answer
        return answer

    things = PerThread(make, closed.append)
    try:
        things.get()
    except ZeroDivisionError:
        pass
    assert things.get() == 5
    things.close()
    assert closed == [5]
