"""The REST doors: each turns a request into one call of a flow."""
