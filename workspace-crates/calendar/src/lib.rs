//! What is due and what is feasible: weekly events, freezes, missed events, backward plans. Pure.
