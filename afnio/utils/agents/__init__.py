"""Ready-made agents, to begin with and to learn from."""

from afnio.utils.agents.sentiment_analyzer import SentimentAnalyzer

__all__ = ["SentimentAnalyzer"]
