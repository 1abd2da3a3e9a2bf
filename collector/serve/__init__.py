"""What the collector serves besides taking spans: metrics and health."""
