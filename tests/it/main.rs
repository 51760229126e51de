//! Behaviour tests.
mod river;
