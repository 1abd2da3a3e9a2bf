"""What a collector costs per span, and what it keeps: otel-cost beside others, on the same payloads in the same run."""
