"""What sessions said last is kept for a while, for some of them, and let go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.remembered import Remembered


class Clock:
    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 9), st.integers()),
        st.tuples(st.just("get"), st.integers(0, 9)),
        st.tuples(st.just("forget"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.floats(0, 20)),
        st.tuples(st.just("expire")),
    )
)


@given(ACTIONS)
def test_it_gives_what_was_put_last_and_never_more_than_it_may(actions):
    clock, model = Clock(), {}
    kept = Remembered(4, 10.0, clock)
    for action, *rest in actions:
        match action, rest:
            case "put", [key, value]:
                model.pop(key, None)
                model[key] = [value, clock.at]
                kept.put(key, value)
                while len(model) > 4:
                    del model[next(iter(model))]
            case "get", [key]:
                assert kept.get(key) == (model[key][0] if key in model else None)
                if key in model:
                    model[key] = [model.pop(key)[0], clock.at]
            case "forget", [key]:
                model.pop(key, None)
                kept.forget(key)
            case "wait", [seconds]:
                clock.at += seconds
            case _:
                old = [key for key, (_, used) in model.items() if used < clock.at - 10.0]
                for key in old:
                    del model[key]
                assert kept.expire() == len(old)
        assert len(kept) == len(model) <= 4
        assert 0 <= kept.use <= 1
        assert all(key in kept for key in model)
