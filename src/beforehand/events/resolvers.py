"""Who knows a customer by the outside world's name for them: `customers` registers here, since imports only go down."""

from collections.abc import Callable, Iterable

CustomerResolver = Callable[[Iterable[str]], dict[str, int]]

_resolver: CustomerResolver | None = None


def register_customer_resolver(resolver: CustomerResolver) -> None:
    """Name the function that turns external ids into customer ids, all at once."""
    global _resolver
    _resolver = resolver


def resolve_customers(references: set[str]) -> dict[str, int]:
    """External id to customer id, for those that exist."""
    if not references or _resolver is None:
        return {}
    return _resolver(references)
