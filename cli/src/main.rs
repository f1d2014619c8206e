//! The `creel` command: starts a node, and is a client of a running one.
//!
//! Every command that asks or acts goes through the node's own HTTP API, as a browser would. Only `init`, `join`, `serve`
//! and `doctor` touch the data folder themselves; `verify` touches nothing but the file it is given.

mod answer;
mod args;
mod client;
mod command;
mod describe;
mod fields;
mod folder;
mod global;
mod language;
mod screen;
mod table;
mod usage;
mod value;

use args::{Arguments, Command};
use clap::{CommandFactory, Parser};
use screen::Screen;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return args::refuse(&error),
    };
    let screen = Screen::new(&arguments.global);
    match run(arguments, &screen) {
        Ok(code) => code,
        Err(error) if screen::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(&error);
            ExitCode::from(if error.is::<usage::UsageError>() { 2 } else { 1 })
        }
    }
}

fn run(arguments: Arguments, screen: &Screen) -> anyhow::Result<ExitCode> {
    let Arguments { global, command } = arguments;
    screen::log(&global, matches!(command, Command::Serve(_)))?;
    let data = || folder::data(global.data.as_deref());
    let node = || client::Client::open(&data()?);
    match command {
        Command::Init(args) => command::init::run(&args, &data()?, screen),
        Command::Serve(args) => command::serve::run(&args, &data()?, screen),
        Command::Invite(args) => command::invite::run(&args, &node()?, screen),
        Command::Join(args) => command::join::run(&args, &data()?, screen),
        Command::Import(args) => command::import::run(&args, node, screen),
        Command::List(args) => command::list::run(&args, &node()?, screen),
        Command::Show(args) => command::show::run(&args, &node()?, screen),
        Command::History(args) => command::history::run(&args, &node()?, screen),
        Command::Why(args) => command::why::run(&args, &node()?, screen),
        Command::Record(args) => command::record::run(&args, node, screen),
        Command::Measure(args) => command::measure::run(&args, node, screen),
        Command::Plan(args) => command::plan::run(&args, node, screen),
        Command::Say(args) => command::say::run(&args, &node()?, screen),
        Command::Resolve(args) => command::settle::resolve(&args, &node()?, screen),
        Command::Retract(args) => command::settle::retract(&args, &node()?, screen),
        Command::Proof(args) => command::proof::export(&args, &node()?, screen),
        Command::Verify(args) => command::proof::verify(&args, screen),
        Command::Export(args) => command::export::run(&args, node, screen),
        Command::Automerge(args) => command::proof::automerge(&args, &node()?, screen),
        Command::Status => command::status::run(&node()?, screen),
        Command::Pack(args) => command::pack::pack(&args, &node()?, screen),
        Command::Unpack(args) => command::pack::unpack(&args, &node()?, screen),
        Command::Open(args) => command::open::run(&args, &node()?, screen),
        Command::Nudge => command::nudge::run(&node()?, screen),
        Command::Doctor => command::doctor::run(&data()?, screen),
        Command::Demo(args) => command::demo::run(&args, screen),
        Command::Completions(args) => command::completions::run(&args, Arguments::command()),
    }
}
