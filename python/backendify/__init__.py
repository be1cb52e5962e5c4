"""One HTTP front for many slow, unreliable company registries."""
