"""Stages of an answer: what each took, added up by name, as the header has it."""

import re

from decisioning.flows.timing import Stages


def test_each_stage_is_timed_from_the_mark_before_it():
    ticks = iter([0, 1_000_000, 1_250_000, 4_250_000])
    stages = Stages(lambda: next(ticks))
    for name in ("key", "profile", "resolve"):
        stages.mark(name)
    assert stages.header() == "key;dur=1.000, profile;dur=0.250, resolve;dur=3.000"


def test_a_stage_that_comes_again_adds_up_in_its_first_place():
    ticks = iter([0, 10_000, 30_000, 60_000])
    stages = Stages(lambda: next(ticks))
    for name in ("resolve", "encode", "resolve"):
        stages.mark(name)
    assert stages.header() == "resolve;dur=0.040, encode;dur=0.020"


def test_nothing_marked_is_an_empty_header():
    assert Stages().header() == ""


def test_the_header_is_what_browsers_can_read():
    stages = Stages()
    for name in ("key", "profile", "encode"):
        stages.mark(name)
    assert all(re.fullmatch(r"[a-z]+;dur=\d+\.\d{3}", metric) for metric in stages.header().split(", "))
