"""The ``fastconv`` command. Tables, photographs and plots need the ``cli`` extra."""
