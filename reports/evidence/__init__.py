"""Records what happened: typed records, their one writer, their readers, and the pytest plugin that makes them."""
