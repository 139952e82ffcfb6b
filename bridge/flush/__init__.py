"""One session's batch becomes episodes, entities and facts."""
