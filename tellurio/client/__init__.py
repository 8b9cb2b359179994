"""The client: what a script uses to talk to a Tellurio server."""
