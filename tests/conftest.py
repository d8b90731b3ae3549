"""What all tests have in common."""

from hypothesis import HealthCheck, settings

# A machine under load is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
