"""records: eight properties, and the documentation that repeats them word for word."""

from __future__ import annotations

from pathlib import Path

from properties import records

DOCS = Path(__file__).parents[2] / "docs" / "properties.md"


def test_there_are_eight_with_the_tags_of_the_feature() -> None:
    assert [record.id for record in records.ALL] == [f"P{n}" for n in range(1, 9)]
    assert records.P5.tag == (
        "Feature: docker-build-optimization, Property 5: dependency invalidation"
    )
    assert all(
        record.hint.endswith(".") and record.claim.startswith("For") for record in records.ALL
    )


def test_every_criterion_is_validated_by_one_property() -> None:
    validated = [number for record in records.ALL for number in record.validates]
    assert len(validated) == len(set(validated))


def test_the_documentations_table_is_made_from_the_records() -> None:
    table = DOCS.read_text().split("-->", 1)[1].split("<!-- /table -->")[0].strip().splitlines()
    assert table[2:] == [
        f"| {r.id} | {r.title} | {r.claim} | {', '.join(f'R{n}' for n in r.validates)} |"
        for r in records.ALL
    ]
