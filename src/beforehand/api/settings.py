"""The installation's settings: what is in force, and a new version of one."""

from dataclasses import asdict
from datetime import time
from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.accounts.actions import set_setting
from beforehand.accounts.installation import KEYS, SettingRefused, installation
from beforehand.api.operations import REFUSALS, Given, May, actor_of
from beforehand.api.problems import invalid, not_found

router = Router(tags=["settings"])


class SettingIn(Given):
    value: Any = Field(description="As `GET /settings` shows the present one.")


class SettingsOut(BaseModel):
    """Every setting's value in force, by key."""

    settings: dict[str, Any]


def _in_force() -> dict[str, Any]:
    now = asdict(installation())
    values = {key: now[name] for key, name in KEYS.items()}
    return {"settings": {k: f"{v:%H:%M}" if isinstance(v, time) else v for k, v in values.items()}}


@router.get("", auth=May("settings:write"), response={200: SettingsOut, **REFUSALS})
def read_settings(request: HttpRequest) -> Any:
    """All settings in force."""
    return _in_force()


@router.put("/{key}", auth=May("settings:write"), response={200: SettingsOut, **REFUSALS})
def put_setting(request: HttpRequest, key: str, setting: SettingIn) -> Any:
    """Put a new version of a setting in force; the former ones stay as its history."""
    if key not in KEYS:
        raise not_found(f"setting of this name. Known: {', '.join(sorted(KEYS))}")
    try:
        set_setting(key=key, value=setting.value, actor=actor_of(request))
    except SettingRefused as refused:
        raise invalid(str(refused), pointer="/value") from None
    return _in_force()
