"""Pure Python that decides: plain values in, a frozen dataclass with a named reason out."""
