"""JSON that every reader takes, and the reading of it with care: a file may be anything."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn


def as_json(data: object, indent: int | None = None) -> str:
    """As text that ends its line. Numbers that JSON does not have, infinity and NaN, become null."""
    return json.dumps(_finite(data), indent=indent, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no JSON; the text says where.
    """
    try:
        return json.loads(path.read_text("utf-8"), parse_constant=_no_json)
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
