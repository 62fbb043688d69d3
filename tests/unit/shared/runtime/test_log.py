"""A log line is JSON with the site's time, also where the machine's zone is another, as in a container."""

import json
import os
import subprocess
import sys

PROGRAM = """
import logging
from zoneinfo import ZoneInfo
from shared.runtime.log import log, start_logging
start_logging(ZoneInfo("Asia/Seoul"))
log("ingest", "line_rejected", number=3)
log("ingest", "disk_full", logging.ERROR)
"""


def test_lines_have_the_time_of_the_site_and_errors_go_to_stderr() -> None:
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, env=os.environ | {"TZ": "America/Lima"}, capture_output=True, text=True, check=True)
    line, error = json.loads(run.stdout), json.loads(run.stderr)
    assert line["at"].endswith("+0900")
    assert (line["event"], line["number"]) == ("line_rejected", 3)
    assert (error["event"], error["level"]) == ("disk_full", "error")
