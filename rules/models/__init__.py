from rules.models.enforcement import Enforcement, EnforcementCondition, EnforcementStatus
from rules.models.rule import Rule, RuleType
from rules.models.rule_evaluation import Outcome, RuleEvaluation
from rules.models.rule_version import RulesetRevision, RuleVersion

__all__ = [
    "Enforcement",
    "EnforcementCondition",
    "EnforcementStatus",
    "Outcome",
    "Rule",
    "RuleEvaluation",
    "RuleType",
    "RuleVersion",
    "RulesetRevision",
]
