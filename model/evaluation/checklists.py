"""The checklist of each language."""

from collections.abc import Mapping

from model.evaluation import checklist_cases, checklist_cases_zh
from model.evaluation.checklist import Check

CHECKLISTS: Mapping[str, tuple[Check, ...]] = {"en": checklist_cases.CHECKS, "zh": checklist_cases_zh.CHECKS}
"""By ISO 639-1."""
