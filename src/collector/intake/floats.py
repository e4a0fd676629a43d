"""The damage that spreadsheets and floats do to long IDs, told from the IDs alone."""

from decimal import Decimal

_ENOUGH = 50


class FloatCheck:
    """Tells, in two counters, whether all integers beyond 2^53 of a file have passed through a float.

    A clean file settles it within its first few IDs: one large ID in a hundred looks as if it had.
    """

    def __init__(self) -> None:
        self._large = 0
        self._rounded = 0
        self.refused = 0  # lines refused since they are floats

    def see(self, keys: list[str]) -> None:
        """Count the large integers among the IDs; costs nothing once one is whole."""
        if self._rounded < self._large:
            return
        for key in keys:
            if 16 <= len(key) <= 20 and key.isascii() and key.isdigit() and (value := int(key)) > 2**53:
                self._large += 1
                if not is_rounded(value):
                    return
                self._rounded += 1

    def warnings(self) -> list[str]:
        """What to tell, the worst first."""
        told = []
        if self._large == self._rounded and (self._large >= _ENOUGH or (self.refused and self._large)):
            told.append(
                f"ALL {self._large:,} IDs BEYOND 2^53 ARE ROUNDED: the file passed through a spreadsheet or a float, "
                "and most of them now name other objects or none. Export the IDs again, as text, from where they came."
            )
        if self.refused:
            lines = "1 line is a float and was" if self.refused == 1 else f"{self.refused:,} lines are floats and were"
            told.append(
                f"{lines} refused: their digits are lost. "
                "The file passed through a spreadsheet or a float; export the IDs again as text."
            )
        return told


def is_rounded(value: int) -> bool:
    """True for an integer as a float leaves it: exact in a double, its shortest digits, or 15 digits and zeros."""
    double = float(value)
    return int(double) == value or value % 10 ** (len(str(value)) - 15) == 0 or Decimal(repr(double)) == value
