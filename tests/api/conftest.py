"""What the API's tests share: tokens, and a client that sends JSON with one."""

from collections.abc import Callable, Iterator

import pytest

from beforehand.accounts.actions import SCOPES, create_token
from beforehand.api.access import forget_tokens
from tests.api.callers import Caller


@pytest.fixture(autouse=True)
def _fresh_access() -> Iterator[None]:
    """Tokens and paces of one test are unknown to the next."""
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture
def caller(db: None) -> Caller:
    """Whoever may do everything."""
    return Caller(create_token(name="everything", scopes=SCOPES, actor="test")[1])


@pytest.fixture
def caller_with(db: None) -> Callable[..., Caller]:
    """Make a caller that has only these scopes."""
    return lambda *scopes: Caller(create_token(name="some", scopes=scopes, actor="test")[1])


@pytest.fixture
def stranger(db: None) -> Caller:
    """Zeno, who has no token."""
    return Caller(None)
