"""How tuples of arrays are handed in from Python by their address.

To look at the seventy arrays of a cluster one by one takes twenty times as long as one of its steps, when it is the
only one. So they are looked at once, and laid down where loops find them: an address is one number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import typeof
from numba.core import types
from numba.core.registry import cpu_target
from numba.extending import NativeValue, intrinsic, unbox

from envs.compiled.handed import Address, Kind
from envs.workloads import Ints
from forecasting.compiled.loops import compiled

Fields = TypeVar("Fields")


def laid(fields: Fields) -> Fields:
    """The same tuple of arrays for `compiled` loops, which hand it on with `handed_one`; nothing is copied.

    Only for what stays the same arrays, whatever is written to them.
    """
    return cast(Fields, _Laid(fields))


class _Laid:
    """To loops an address. It keeps the arrays alive, for nobody else counts them."""

    __slots__ = ("_fields", "_memory", "_numba_type_", "at")

    def __init__(self, fields: object) -> None:
        kind = typeof(fields)  # type: ignore[no-untyped-call]
        context = cpu_target.target_context
        self._fields = fields
        self._memory = np.empty(-(-context.get_abi_sizeof(context.get_value_type(kind)) // 8), dtype=np.int64)
        self._numba_type_ = Address(kind)
        self.at: int = self._memory.ctypes.data
        _laid_down(fields, self._memory)

    def __reduce__(self) -> tuple[type[_Laid], tuple[object]]:
        """A copy is of its own arrays, laid down anew."""
        return _Laid, (self._fields,)


@unbox(Address)  # type: ignore[no-untyped-call, untyped-decorator]
def _address(kind: Kind, given: Any, c: Any) -> NativeValue:
    number = c.pyapi.object_getattr_string(given, "at")
    at = c.builder.bitcast(c.pyapi.long_as_voidptr(number), c.context.get_value_type(kind))
    c.pyapi.decref(number)
    return NativeValue(at, is_error=c.pyapi.c_api_error())  # type: ignore[no-untyped-call]


@intrinsic
def _written(typing_context: Any, fields: Kind, memory: Kind) -> tuple[Kind, Any]:
    """Writes a tuple as loops hold it."""

    def put(context: Any, builder: Any, _: object, values: list[Any]) -> Any:
        data = context.make_array(memory)(context, builder, values[1]).data
        builder.store(values[0], builder.bitcast(data, context.get_value_type(fields).as_pointer()))
        return context.get_dummy_value()

    return types.void(fields, memory), put


_put = cast(Callable[[object, Ints], None], _written)


@compiled
def _laid_down(fields: object, memory: Ints) -> None:
    _put(fields, memory)
