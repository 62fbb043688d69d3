"""Benches of the dashboard."""
