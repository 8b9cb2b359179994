"""One benchmark a module; each returns figures."""
