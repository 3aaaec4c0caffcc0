"""The playbook language: read it (`parse`), judge it (`check`), show it (`describe`), run it (`run`)."""
