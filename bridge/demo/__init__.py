"""`./dev demo`: a recorded OpenCode session goes through the whole product, before your eyes."""
