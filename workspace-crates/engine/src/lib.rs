//! The sequence of a week: due events, deployments, evaluations, transitions, reports.
