"""Health of this machine: what runs here, proven against a float64 definition."""
