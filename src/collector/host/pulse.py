"""The mark of an actor: what it passes while it has something to do, so that somebody else can see that it gets on."""


class Pulse:
    """Passed by its actor alone; it knows no time, whoever looks at it does."""

    __slots__ = ("busy", "passed")

    def __init__(self) -> None:
        self.passed = 0
        self.busy = False  # it has something to do, and waits for nothing that may take as long as it likes

    def beat(self) -> None:
        """It has something to do, and gets on."""
        self.passed += 1
        self.busy = True

    def rest(self) -> None:
        """It waits for work, for a budget, for a person or for a disk that is unwell."""
        self.passed += 1
        self.busy = False
