"""The nouns of the project, as frozen data; units are in the names, 1 MiB is 1024 * 1024 bytes.

Public, for authors of challenges too.
"""

from tinytorch_compete.model.challenge import (
    MIB,
    ChallengeSpec,
    DatasetChoice,
    Dates,
    Division,
    Limits,
    Metric,
    Requirement,
    Tier,
)
from tinytorch_compete.model.profile import (
    CellCost,
    LineAllocation,
    LineCost,
    MemoryPeak,
    Operands,
    Profile,
    StackFrame,
)
from tinytorch_compete.model.result import (
    CellJudgement,
    CellResult,
    Identity,
    Judgement,
    Result,
    Withdrawal,
)
from tinytorch_compete.model.run import (
    Answer,
    CellRun,
    Cost,
    Evidence,
    Inputs,
    Round,
    Run,
    Timed,
    Verdict,
)
from tinytorch_compete.model.suggestion import (
    Advice,
    Autopsy,
    FixTrial,
    Insight,
    Kind,
    Reason,
)

__all__ = [
    "MIB",
    "Advice",
    "Answer",
    "Autopsy",
    "CellCost",
    "CellJudgement",
    "CellResult",
    "CellRun",
    "ChallengeSpec",
    "Cost",
    "DatasetChoice",
    "Dates",
    "Division",
    "Evidence",
    "FixTrial",
    "Identity",
    "Inputs",
    "Insight",
    "Judgement",
    "Kind",
    "Limits",
    "LineAllocation",
    "LineCost",
    "MemoryPeak",
    "Metric",
    "Operands",
    "Profile",
    "Reason",
    "Requirement",
    "Result",
    "Round",
    "Run",
    "StackFrame",
    "Tier",
    "Timed",
    "Verdict",
    "Withdrawal",
]
