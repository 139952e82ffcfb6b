"""The memory text given to the agent."""
