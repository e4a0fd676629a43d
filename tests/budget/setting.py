"""What may happen to the clocks of a machine, for properties that must hold all the same."""

from hypothesis import strategies as st

from tests.budget.virtual import VirtualClock

# Seconds by which somebody sets the wall clock; None: the machine is started anew, and has the time of before.
settings_of_the_clock = st.lists(st.sampled_from([0.0, -3600.0, 0.5, 900.0, 1e6, None]), min_size=1, max_size=4)


def set_clock(clock: VirtualClock, by: float | None) -> None:
    """Does it to the clock."""
    if by is None:
        clock.boots += 1
        clock.ahead -= 30.0  # a machine without a clock of its own wakes with the time at which it was stopped, or less
    else:
        clock.ahead += by
