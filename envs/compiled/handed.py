"""How tuples of arrays are handed from loop to loop by their address.

To machine code an array is seven numbers, and a cluster some seventy arrays. Handed on as they are, five hundred
numbers go into each call, and each loop is compiled with all of them though it only hands them on: minutes, for loops
of a page. An address is one number.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model

Fields = TypeVar("Fields")
Kind: TypeAlias = Any  # a type of Numba's, which says nothing of itself to others


def one(fields: Fields, b: int) -> Fields:
    """Of several clusters, whose arrays have them along their first axis, the arrays of one; nothing is copied."""
    if isinstance(fields, np.ndarray):
        return cast(Fields, fields[b])
    if isinstance(fields, tuple):
        return cast(Fields, type(fields)(*(one(field, b) for field in fields)))
    return fields


class Address(types.Type):
    """Where a tuple lies; its fields are read as if it were the tuple."""

    def __init__(self, of: Kind) -> None:
        super().__init__(name=f"Address({of})")
        self.of = of

    @property
    def key(self) -> tuple[Kind, ...]:
        """What it is told apart by: two tuples may print alike and not be of one class."""
        return (self.of,)


@register_model(Address)
class AddressModel(models.PrimitiveModel):
    """A pointer."""

    def __init__(self, manager: Any, kind: Kind) -> None:
        super().__init__(manager, kind, manager.lookup(kind.of).get_value_type().as_pointer())


@infer_getattr
class AddressAttribute(AttributeTemplate):
    """A field has the type that it has in the tuple."""

    key = Address

    def generic_resolve(self, kind: Kind, name: str) -> Kind | None:  # type: ignore[override]
        """None where the tuple has no such field."""
        return kind.of[kind.of.fields.index(name)] if name in kind.of.fields else None


@lower_getattr_generic(Address)
def _field(context: Any, builder: ir.IRBuilder, kind: Kind, at: ir.Value, name: str) -> ir.Value:
    nth = kind.of.fields.index(name)
    field = builder.load(cgutils.gep_inbounds(builder, at, 0, nth))
    return impl_ret_borrowed(context, builder, kind.of[nth], field)


class Handed(Protocol):
    """As `handed`."""

    def __call__(self, fields: Fields) -> Fields: ...


class HandedOne(Protocol):
    """As `handed_one`."""

    def __call__(self, fields: Fields, b: int) -> Fields: ...


@intrinsic
def _handed(typing_context: Any, fields: Kind) -> tuple[Kind, Any]:
    """The same tuple, for `lean` loops, as long as the loop runs that asks for it.

    What holds arrays or numbers is handed on by address; tuples of nothing but tuples, and None, as they are. Where a
    loop hands on at each turn, the turns share the address: what was handed on before is no more.
    """
    kinds = _Kinds(typing_context, None)

    def laid_down(context: Any, builder: ir.IRBuilder, _: object, values: list[ir.Value]) -> ir.Value:
        return _Layer(kinds, context, builder, None).laid_down(fields, values[0])

    return kinds.of(fields)(fields), laid_down


@intrinsic
def _handed_one(typing_context: Any, fields: Kind, b: Kind) -> tuple[Kind, Any]:
    """`handed` of `one`, of a tuple or of what lies at an address."""
    kinds, lies = _Kinds(typing_context, b), isinstance(fields, Address)
    whole = fields.of if lies else fields

    def laid_down(context: Any, builder: ir.IRBuilder, _: object, values: list[ir.Value]) -> ir.Value:
        value = builder.load(values[0]) if lies else values[0]
        return _Layer(kinds, context, builder, values[1]).laid_down(whole, value)

    return kinds.of(whole)(fields, b), laid_down


handed = cast(Handed, _handed)
handed_one = cast(HandedOne, _handed_one)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """What types become when they are handed on."""

    typing_context: Any
    b: Kind | None  # of which number one cluster is said; None: all of arrays is handed on

    def of(self, fields: Kind) -> Kind:
        if isinstance(fields, types.Array) and self.b is not None:
            return self.taking(fields).return_type
        if not _is_tuple(fields):
            return fields
        within = [self.of(field) for field in fields]
        same = types.BaseTuple.from_types(within, fields.instance_class)
        light = all(_is_tuple(kind) or isinstance(kind, Address | types.NoneType) for kind in within)
        return same if light else Address(same)

    def taking(self, array: Kind) -> Any:
        """How one of several is taken from an array."""
        return self.typing_context.resolve_function_type(operator.getitem, (array, self.b), {})


@dataclass(frozen=True, slots=True)
class _Layer:
    """Writes the instructions that lay tuples down among the variables of a loop."""

    kinds: _Kinds
    context: Any
    builder: ir.IRBuilder
    b: ir.Value | None

    def laid_down(self, fields: Kind, value: ir.Value) -> ir.Value:
        """Of the type that `_Kinds` says: tuples within first."""
        if isinstance(fields, types.Array) and self.b is not None:
            take = self.context.get_function(operator.getitem, self.kinds.taking(fields))
            return take(self.builder, (value, self.b))
        if not _is_tuple(fields):
            return value
        kind, parts = self.kinds.of(fields), cgutils.unpack_tuple(self.builder, value, len(fields))
        within = [self.laid_down(field, part) for field, part in zip(fields, parts, strict=True)]
        if not isinstance(kind, Address):
            return self.context.make_tuple(self.builder, kind, within)
        return cgutils.alloca_once_value(self.builder, self.context.make_tuple(self.builder, kind.of, within))


def _is_tuple(kind: Kind) -> bool:
    return isinstance(kind, types.BaseNamedTuple)
