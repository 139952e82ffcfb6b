"""The memory on Graphiti and FalkorDB.

Importing this package costs nothing; importing `memory_manager.graph.driver` imports Graphiti,
which takes about a second of CPU and 40 MB; `memory_manager.graph.memory` does so at its first
store.

What is set here has to be set before Graphiti is imported, so in the one place that every module
of the package passes first.
"""

from __future__ import annotations

import logging
import os
import warnings

# Graphiti reports home unless told not to.
os.environ["GRAPHITI_TELEMETRY_ENABLED"] = "false"
# Its import reads a `.env` file above the working directory: keys that nobody gave to us.
os.environ["PYTHON_DOTENV_DISABLED"] = "1"
# It logs a failed query with all parameters: contents and vectors.
logging.getLogger("graphiti_core.driver.falkordb_driver").setLevel(logging.CRITICAL + 1)
# Its classes are written in a style that pydantic calls outdated; nobody here can mend that.
warnings.filterwarnings("ignore", message="Support for class-based `config`")
