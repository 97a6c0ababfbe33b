"""The memory of an object as bytes, for another process to go on with.

It is a pickle that names no code but srsdk's own classes and NumPy's arrays: reading one that
somebody else wrote can fail, but it runs nothing of theirs.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

from srsdk.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN = {
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "slice"),
    ("collections", "deque"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("fractions", "Fraction"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
}


def dump(value: Any, shared: Sequence[object] = ()) -> bytes:
    """The bytes of `value`.

    Args:
        value: Made of plain types, arrays and objects of srsdk.
        shared: Objects that are named in the bytes rather than written: models, detectors.

    Raises:
        InputError: Something in `value` cannot be written.
    """
    names = {id(item): index for index, item in enumerate(shared)}

    class Writer(pickle.Pickler):
        def persistent_id(self, obj: object) -> int | None:
            return names.get(id(obj))

    buffer = io.BytesIO()
    try:
        Writer(buffer, protocol=4).dump(value)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InputError(f"{type(value).__name__} cannot be kept: {error}") from error
    return buffer.getvalue()


def load(data: bytes, shared: Sequence[object] = ()) -> Any:
    """What `dump` wrote, with the same `shared` of this process.

    Raises:
        InputError: The bytes are damaged, or come from another version.
    """

    class Reader(pickle.Unpickler):
        def persistent_load(self, name: Any) -> object:
            return shared[int(name)]

        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in _PLAIN or (module.split(".")[0] == "srsdk" and "." not in name):
                found = super().find_class(module, name)
                if isinstance(found, type) or (module, name) in _PLAIN:
                    return found
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    try:
        return Reader(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle raises anything
        raise InputError(f"the kept memory cannot be read ({error})") from error
