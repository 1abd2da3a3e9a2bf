"""Every instrumentation x every way to call a model x every SDK: what is counted without us and with us."""
