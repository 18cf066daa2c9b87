"""The suite's tests of projects and experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tracklib.errors import NotFound
from tracklib.model import Experiment, ExperimentStatus, Project, ProjectSettings
from tracklib.records import is_id, new_id
from tracklib.testing.batches import EPOCH, WriterScript, ship
from tracklib.testing.entities import EXPERIMENT, PROJECT
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.stores.base import Store

__all__ = ["CatalogContract"]


def _projects(store: Store) -> dict[str, Project]:
    return {project.name: project for project in store.projects(archived=None)}


def _experiments(store: Store) -> dict[tuple[str, str], Experiment]:
    return {(found.project, found.name): found for found in store.experiments(archived=None)}


class CatalogContract(StoreHarness):
    """What a store promises of that which runs are gathered under."""

    def test_a_store_that_holds_nothing_says_so(self, store: Store) -> None:
        """An empty store can be written to, and lists nothing or is not there yet."""
        store.check()

        for question in (store.projects, store.experiments):
            try:
                assert question() == []
            except NotFound:
                continue

    def test_every_field_of_a_project_is_kept(self, store: Store) -> None:
        """A project comes back whole, its settings too."""
        store.put_project(PROJECT)

        assert store.projects(archived=None) == [PROJECT]

    def test_every_field_of_an_experiment_is_kept(self, store: Store) -> None:
        """An experiment comes back whole."""
        store.put_project(PROJECT)
        store.put_experiment(EXPERIMENT)

        assert store.experiments(archived=None) == [EXPERIMENT]

    def test_a_project_is_replaced_by_name(self, store: Store) -> None:
        """Putting a project again replaces everything but its id and the time of its making."""
        store.put_project(PROJECT)
        changed = Project(id=new_id(), name=PROJECT.name, description="new", created_at=1.0, updated_at=2.0)
        store.put_project(changed)

        assert store.projects() == [replace(changed, id=PROJECT.id, created_at=PROJECT.created_at)]

    def test_an_experiment_is_replaced_by_name(self, store: Store) -> None:
        """Putting an experiment again replaces its fields likewise; one of that name elsewhere is another one."""
        store.put_experiment(EXPERIMENT)
        changed = Experiment(id=new_id(), project=EXPERIMENT.project, name=EXPERIMENT.name, created_at=1.0)
        other = replace(changed, id=new_id(), project="other")
        store.put_experiment(changed)
        store.put_experiment(other)

        kept = replace(changed, id=EXPERIMENT.id, created_at=EXPERIMENT.created_at)
        assert _experiments(store) == {(kept.project, kept.name): kept, ("other", kept.name): other}

    def test_an_experiment_makes_its_project(self, store: Store) -> None:
        """An experiment of a project that is not there makes that as well."""
        store.put_experiment(EXPERIMENT)

        (project,) = store.projects()
        assert project.name == EXPERIMENT.project
        assert project.settings == ProjectSettings()
        assert project.id

    def test_a_run_makes_its_project_and_experiment(self, store: Store) -> None:
        """A run of a project that is not there makes it; runs of one that is leave it as it is."""
        store.put_project(replace(PROJECT, archived_at=None))
        ship(store, [WriterScript(project=PROJECT.name, experiment="e").start()])
        ship(store, [WriterScript(project=PROJECT.name, experiment="e").start()])
        ship(store, [WriterScript(project="new", experiment="e").start()])

        assert set(_projects(store)) == {PROJECT.name, "new"}
        assert _projects(store)[PROJECT.name] == replace(PROJECT, archived_at=None)
        assert set(_experiments(store)) == {(PROJECT.name, "e"), ("new", "e")}
        made = _experiments(store)["new", "e"]
        assert (made.status, made.created_at, made.archived_at) == (ExperimentStatus.ACTIVE, EPOCH, None)

    def test_experiments_are_made_with_the_defaults_of_their_project(self, store: Store) -> None:
        """An experiment that a run makes has the fields that its project gives to such."""
        defaults = {"description": "d", "hypothesis": "h", "tags": {"a": "b"}}
        settings = ProjectSettings(experiment_defaults=defaults)
        store.put_project(Project(id=new_id(), name="p", settings=settings))
        ship(store, [WriterScript(project="p", experiment="e").start()])

        made = _experiments(store)["p", "e"]
        assert (made.description, made.hypothesis, made.tags) == ("d", "h", {"a": "b"})

    def test_projects_and_experiments_are_listed_by_name(self, store: Store) -> None:
        """Lists are in the order of names, experiments by project first."""
        places = [("b", "2"), ("a", "2"), ("b", "1"), ("a", "3"), ("B", "1")]
        for project, name in places:
            store.put_experiment(Experiment(id=new_id(), project=project, name=name))

        assert [project.name for project in store.projects()] == ["B", "a", "b"]
        assert [(found.project, found.name) for found in store.experiments()] == sorted(places)
        assert [found.name for found in store.experiments("b")] == ["1", "2"]
        assert store.experiments("no such project") == []

    def test_archived_ones_are_listed_on_request(self, store: Store) -> None:
        """What is archived is left out, listed as well, or listed alone."""
        for name, archived_at in (("old", 5.0), ("new", None)):
            store.put_project(Project(id=new_id(), name=name, archived_at=archived_at))
            store.put_experiment(Experiment(id=new_id(), project="new", name=name, archived_at=archived_at))

        for archived, wanted in ((False, ["new"]), (True, ["old"]), (None, ["new", "old"])):
            assert [project.name for project in store.projects(archived=archived)] == wanted
            assert [found.name for found in store.experiments("new", archived=archived)] == wanted
        store.put_project(Project(id=new_id(), name="old"))
        assert [project.name for project in store.projects()] == ["new", "old"]

    def test_names_differ_in_every_character(self, store: Store) -> None:
        """Case, accents, spaces and signs make another name."""
        names = ["a", "A", "a ", "a/b", "a\\b", "é", "e\u0301", "a\nb", "'", '"', "..", "%", "🙂"]
        for name in names:
            store.put_experiment(Experiment(id=new_id(), project=name, name=name))

        assert set(_projects(store)) == set(names)
        assert set(_experiments(store)) == {(name, name) for name in names}

    def test_ids_may_be_left_to_the_store(self, store: Store) -> None:
        """A project or experiment without an id is given one."""
        store.put_project(Project(id="", name="p"))
        store.put_experiment(Experiment(id="", project="p", name="e"))

        assert [is_id(project.id) for project in store.projects()] == [True]
        assert [is_id(found.id) for found in store.experiments()] == [True]
