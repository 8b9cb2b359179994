"""The server: HTTP over the store.  ``app.make_app`` wires everything together; each resource is a file of its own."""
