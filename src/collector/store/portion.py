"""How much of a long piece of work goes into one commit."""

MOST = 10_000  # rows
LONGEST_COMMIT = 0.05  # seconds that whoever else writes may have to wait


class Portion:
    """Rows for the next commit: fewer after one that took long, more after a quick one."""

    def __init__(self, least: int) -> None:
        """`least`: below it the disk's own time counts for more than the rows."""
        self.rows = MOST
        self._least = least

    def took(self, rows: int, seconds: float) -> None:
        """So many rows were committed, or looked at for it, in that time."""
        if seconds > LONGEST_COMMIT:
            self.rows = max(min(rows, self.rows) // 2, self._least)
        elif seconds < LONGEST_COMMIT / 3:
            self.rows = min(self.rows * 2, MOST)
