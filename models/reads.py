"""Which hyperparameters a custom factory reads: it builds a model from values that note what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import chdir
from typing import Any

from .factory import Factory, Shape


class NotedValues(dict[str, Any]):
    """A dictionary that notes the names that were asked for in `read`; whoever goes over it asks for all."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self.read.add(name)
        return super().pop(name, *default)

    def __iter__(self) -> Iterator[str]:  # also of ** and dict(…)
        return iter(self._all())

    def __or__(self, other: Any) -> Any:
        return self._all() | other

    def items(self) -> Any:
        return self._all().items()

    def values(self) -> Any:
        return self._all().values()

    def keys(self) -> Any:
        return self._all().keys()

    def copy(self) -> dict[str, Any]:
        return self._all()

    def _all(self) -> dict[str, Any]:
        whole = {name: dict.__getitem__(self, name) for name in dict.keys(self)}
        self.read |= whole.keys()
        return whole


def list_read(factory: Factory, hparams: Mapping[str, Any], data: tuple[Shape, int]) -> set[str]:
    """The names that the factory asks for while it builds one model. Raises what the factory raises."""
    noted = NotedValues({**(factory.defaults or {}), **hparams})
    with chdir("."):
        factory.build(noted, *data)
    return noted.read
