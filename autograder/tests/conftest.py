"""Settings of hypothesis for our own tests: no clocks on a busy machine, the same examples every time."""

from hypothesis import HealthCheck, settings

settings.register_profile("course", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("course")
