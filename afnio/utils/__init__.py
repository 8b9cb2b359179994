"""Data loading (`afnio.utils.data`), ready-made data sets (`afnio.utils.datasets`), agents (`afnio.utils.agents`)."""
