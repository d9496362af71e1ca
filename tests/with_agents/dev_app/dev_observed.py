"""What the scheduler of this server recorded; the server loads `dev_graphs` once per graph."""

from langgraph_rsm import Scheduler, SchedulerConfig

records = []
scheduler = Scheduler(config=SchedulerConfig(validate_steps=True), hooks=[records.append])
