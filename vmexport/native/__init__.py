"""The native libraries: find, trust, load and build them."""
