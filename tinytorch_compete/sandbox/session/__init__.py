"""One run of a notebook: kernel, client, channel, evidence, relay."""
