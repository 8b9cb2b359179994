"""Ready-made data sets.  `SupportTickets` comes with the package; the others are downloaded once, and verified."""

from afnio.utils.datasets.facility_support import FacilitySupport
from afnio.utils.datasets.support_tickets import SupportTickets
from afnio.utils.datasets.trec import TREC

__all__ = ["TREC", "FacilitySupport", "SupportTickets"]
