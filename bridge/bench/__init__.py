"""Measurements anyone can repeat: both sides in one run, medians and spread."""
