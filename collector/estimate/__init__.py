"""Tokens of calls whose provider reported none, estimated from what was captured of the conversation.

Runs behind the acknowledgement, after normalising and before pricing: never in the request path, never in the app.
"""

from collector.estimate.estimator import Estimator
from collector.estimate.reasons import method_of, with_methods

__all__ = ["Estimator", "method_of", "with_methods"]
