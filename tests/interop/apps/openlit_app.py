"""The openai app under OpenLIT's own one-line set-up."""

import os
import runpy
from pathlib import Path

import openlit

openlit.init(otlp_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], disable_metrics=True)
runpy.run_path(str(Path(__file__).with_name("openai_app.py")))
