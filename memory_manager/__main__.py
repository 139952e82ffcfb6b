"""`python -m memory_manager`: the command, by name instead of by path."""

from memory_manager.memory_manager import main

if __name__ == "__main__":
    main()
