"""CrewAI is optional, `make crewai` installs it."""

import os
from importlib.util import find_spec

# Read by CrewAI when it is imported.
os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_DISABLE_TRACKING="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_TESTING="true",
    OTEL_SDK_DISABLED="true",
)

if find_spec("crewai") is None:
    collect_ignore_glob = ["*"]
