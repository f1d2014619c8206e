//! JSON requests and answers: what a client of a node sends and gets, and how it maps to the core's `Act`, `Query` and `Reply`.
//!
//! Here kinds, edits and numbers become sentences, in 简体中文 and English. The engine carries none, so that a better translation
//! changes no view.
//!
//! Deliberately absent: HTTP, files, sockets, clocks. The HTTP API and the command line use these types, and a node in a browser
//! can.

pub mod answer;
pub mod reply;
pub mod request;
pub mod sheet;
pub mod words;
