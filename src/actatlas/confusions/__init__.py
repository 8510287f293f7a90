"""What a network takes for something else: proposals from a finished atlas, and their proof by pasted patches."""

from actatlas.confusions.experiment import Experiment, paste_and_look
from actatlas.confusions.finding import Confusions, Test, find_confusions, prove_confusions
from actatlas.confusions.keeping import Confusion
from actatlas.confusions.proposing import Proposal, SearchSettings
from actatlas.confusions.proving import Proof
from actatlas.confusions.telling import write_stories

__all__ = [
    "Confusion", "Confusions", "Experiment", "Proof", "Proposal", "SearchSettings", "Test", "find_confusions",
    "paste_and_look", "prove_confusions", "write_stories",
]  # fmt: skip
