"""Native libraries of this installation (put here by the build)."""
