"""The self-hosted server and its web page.  So far only the command line lives here; the server comes later."""
