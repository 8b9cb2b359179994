"""Data loading (`afnio.utils.data`) and ready-made data sets (`afnio.utils.datasets`)."""
