"""Train a network as a recipe says: `launch.train` is the way in; nothing here prints."""
