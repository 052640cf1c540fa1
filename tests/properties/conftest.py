"""How hypothesis looks for counter-examples: always the same ones in CI, new ones elsewhere."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile(
    "project", max_examples=60, deadline=None, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("project")
