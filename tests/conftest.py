"""What holds for all tests."""

import os

from hypothesis import HealthCheck, settings

# XLA compiles a small program for each size and each test: in half the time without its last optimisations, which
# change no test's numbers (tests/engine/test_jax_process.py runs with them)
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

# what XLA compiled is kept by users, not by tests
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")

# whether a law holds does not depend on how busy the machine is
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
