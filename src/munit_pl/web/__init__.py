"""The web page of ``munit-demo``: a layout, its event handlers, and the server."""

import os

# Before gradio is imported, by any module of this package: nothing is reported to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
