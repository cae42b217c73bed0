"""Programs that make the models in models/builtin and models/builtin-embedder. Not shipped."""
