"""A student's source as text: reading it, delegating a part to `given`, and the sentences of stubs."""
