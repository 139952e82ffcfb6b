"""What an agent may ask its memory for: the operations behind the one method `tool`."""
