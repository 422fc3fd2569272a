"""The whole run without Airflow: pin, snapshot, render, deliver, settle. One file per step.

The command line and the DAG tasks call these same functions. Each step can be called again after a crash, in
another process or on another machine: what is done is found in the state database and the store, and is not
done twice.
"""

from include.pipeline.context import Context
from include.pipeline.deliver import deliver
from include.pipeline.pin import pin
from include.pipeline.render import render
from include.pipeline.run_shares import render_share, shares_of
from include.pipeline.settle import settle
from include.pipeline.snapshot import snapshot

__all__ = ["Context", "deliver", "pin", "render", "render_share", "settle", "shares_of", "snapshot"]
