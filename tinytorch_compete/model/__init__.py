"""The nouns of the project, as frozen data; units are in the names, 1 MiB is 1024 * 1024 bytes.

Public, for authors of challenges too.
"""

from tinytorch_compete.model.challenge import (
    MIB,
    Challenge,
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
    Held,
    LineCost,
    Moment,
    Operands,
    Profile,
    Step,
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
    Insight,
    Kind,
    Reason,
    Trial,
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
    "Challenge",
    "Cost",
    "DatasetChoice",
    "Dates",
    "Division",
    "Evidence",
    "Held",
    "Identity",
    "Inputs",
    "Insight",
    "Judgement",
    "Kind",
    "Limits",
    "LineCost",
    "Metric",
    "Moment",
    "Operands",
    "Profile",
    "Reason",
    "Requirement",
    "Result",
    "Round",
    "Run",
    "Step",
    "Tier",
    "Timed",
    "Trial",
    "Verdict",
    "Withdrawal",
]
