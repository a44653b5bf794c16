//! Programs that die or are interfered with at every single step: the next one carries on to the
//! same end, and nothing is done twice.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base::Instant;
use common::{World, at, train, when};

/// Three weeks in which something goes wrong, or nothing.
#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    begin: fn() -> World,
    /// When the guide is not there.
    without_guide: Option<(i64, &'static str)>,
    /// What its trace must have in it, so that the story is the one that it claims to be.
    has: &'static [&'static str],
}

const STORIES: [Story; 3] = [
    Story {
        name: "all goes well",
        begin: World::new,
        without_guide: None,
        has: &["advance first/public", "proposal second/public", "approval", "advance third"],
    },
    Story {
        name: "a machine fails, and a release is held back",
        begin: || {
            let world = World::new();
            world.networks.borrow_mut().refused.push("first.internal.1".to_owned());
            world
        },
        without_guide: Some((2, "tue")),
        has: &["deployment-failed first/internal", "release-held first/public"],
    },
    Story {
        name: "a hold, then a reset with a phase downstream",
        begin: || {
            let world = World::new();
            let mut networks = world.networks.borrow_mut();
            networks.break_at("first.internal.1", at("2026-01-10T12:00:00Z"));
            networks.break_at("first.public.1", at("2026-01-24T00:00:00Z"));
            drop(networks);
            world
        },
        without_guide: None,
        has: &["hold first/internal", "torn-down second/internal · first is reset", "reset first"],
    },
];

impl Story {
    /// Runs `world`; a program that fails is started once more.
    fn run(&self, world: &World) {
        self.each(world, |now| {
            if world.try_tick(now).is_err() {
                world.try_tick(now).unwrap();
            }
        });
    }

    fn each(&self, world: &World, mut tick: impl FnMut(Instant)) {
        let without = self.without_guide.map(|(week, event)| when(week, event));
        for now in train(3) {
            world.guide.set(without != Some(now));
            world.approve(now);
            tick(now);
        }
    }

    fn reference(&self) -> World {
        let world = (self.begin)();
        self.run(&world);
        world
    }
}

fn assert_same(world: &World, clean: &World, what: &str) {
    assert_eq!(world.done(), clean.done(), "{what}");
    let (ours, theirs) = (world.networks.borrow(), clean.networks.borrow());
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.up.keys().collect(), theirs.up.keys().collect());
    assert_eq!(ours, theirs, "{what}: other networks are up");
}

#[test]
fn the_stories_are_what_they_claim() {
    for story in STORIES {
        let trace = story.reference().trace().join("\n");
        for part in story.has {
            assert!(trace.contains(part), "{}: `{part}` is missing from\n{trace}", story.name);
        }
    }
}

#[test]
fn a_program_that_dies_at_any_append_is_carried_on() {
    for story in STORIES {
        let clean = story.reference();
        for index in 0..clean.trace().len() {
            for after in [false, true] {
                let world = (story.begin)();
                world.store.die_at(index, after);
                story.run(&world);
                let what = format!("{}: died at append {index}, after: {after}", story.name);
                assert_same(&world, &clean, &what);
            }
        }
    }
}

#[test]
fn a_program_that_dies_at_any_operation_of_the_driver_is_carried_on() {
    for story in STORIES {
        let clean = story.reference();
        let operations = clean.networks.borrow().log.len();
        for index in 0..operations {
            for after in [false, true] {
                let world = (story.begin)();
                world.networks.borrow_mut().dies = Some((index, after));
                story.run(&world);
                let what = format!("{}: died at operation {index}, after: {after}", story.name);
                assert_same(&world, &clean, &what);
            }
        }
    }
}

#[test]
fn somebody_who_appends_in_between_changes_nothing() {
    for story in STORIES {
        let clean = story.reference();
        for index in 0..clean.trace().len() {
            let mut world = (story.begin)();
            let lead = world.keys.remove("lead").unwrap();
            world.store.intrude_at(index, lead);
            // A conflict is no error: one call is enough.
            story.each(&world, |now| world.tick(now));
            assert_same(&world, &clean, &format!("{}: intruded at {index}", story.name));
        }
    }
}
