"""What the server shows: one resource a file, each with its routes and the permission of each route."""
