"""What the formulas ask of the bytes of a value.

Book: §1.3.2
"""


def require_bytes(bytes_per_value: int) -> None:
    """Raises ValueError unless it is 2 or 4."""
    if bytes_per_value not in (2, 4):
        raise ValueError(f"bytes_per_value is {bytes_per_value}; expected 4 (float32) or 2 (bfloat16)")
