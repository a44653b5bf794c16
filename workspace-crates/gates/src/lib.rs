//! Gate kinds as pure evaluators, soak, waivers, and the verdict of a phase.
