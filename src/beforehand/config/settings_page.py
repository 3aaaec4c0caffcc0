"""docs/settings.md, made from the table of settings."""

from beforehand.config.environment import SETTINGS


def settings_page() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "<!-- Made from SETTINGS in src/beforehand/config/environment.py:"
        " python -m beforehand.config.environment > docs/settings.md -->",
        "",
        "Environment variables say how an installation is deployed. What the business decides (brand, senders, caps,",
        "limits, retention) is changed in the console, and every version of it is kept.",
        "",
        "None is required. An empty variable counts as unset. A wrong one stops the start with one line that says",
        "which and why; `beforehand doctor` names variables that it does not know. Those marked \\* can be given in",
        "a file instead: `BEFOREHAND_SECRET_KEY_FILE=/run/secrets/key`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for setting in SETTINGS:
        default = setting.default_text or (f"`{setting.default}`" if setting.default else "none")
        star = r" \*" if setting.is_secret else ""
        lines.append(f"| `{setting.name}`{star} | {default} | {setting.meaning} |")
    return "\n".join([*lines, ""])
