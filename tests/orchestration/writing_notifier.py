"""A notifier as a provider would ship one: it writes what it is told to a file. The tests' Airflow is allowed to use it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.sdk import BaseNotifier


class WritingNotifier(BaseNotifier):
    """Adds a line of JSON to the file that LOYALTY_TEST_NOTIFIED names."""

    template_fields = ("channel", "text")

    def __init__(self, channel, text):
        super().__init__()
        self.channel, self.text = channel, text

    def notify(self, context):
        with Path(os.environ["LOYALTY_TEST_NOTIFIED"]).open("a") as file:
            file.write(json.dumps({"channel": self.channel, "text": self.text}) + "\n")
