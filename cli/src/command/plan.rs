//! `creel plan`: changes what should happen.

use super::act::{Acting, report};
use super::list::FILTERS;
use crate::answer::Made;
use crate::client::Client;
use crate::fields;
use crate::screen::Screen;
use crate::usage::UsageError;
use anyhow::{Result, bail};
use creel_protocol::edit::action::PlanFields;
use jiff::tz::TimeZone;
use serde_json::json;
use std::process::ExitCode;

/// Change what should happen, of the shipments named or of all that a filter finds.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "creel plan [OPTIONS] REF... FIELD=VALUE...\n       creel plan [OPTIONS] --filter Q FIELD=VALUE...",
    after_help = format!("Examples:\n  creel plan M1 window=2026-11-23T08:00/12:00\n  \
                  creel plan M1 M2 driver=li-wei run=li-wei-1\n  creel plan --filter \"driver:none shop:west-lake\" driver=li-wei\n  \
                  creel plan M1 line.2.quantity=3 note=\"ring twice\"\n\n\
                  Fields: {known}\n\n\
                  Times are of this device's clock, or in RFC 3339. An empty text, or none for a party, takes a value back.\n\
                  {FILTERS}", known = fields::KNOWN)
)]
pub(crate) struct Args {
    /// The shipments, unless there is a filter, and then what to set
    #[arg(required = true, num_args = 1.., value_names = ["REF... FIELD=VALUE..."])]
    words: Vec<String>,
    /// All shipments that fit, instead of named ones
    #[arg(long, value_name = "Q")]
    filter: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

pub(crate) fn run(args: &Args, node: impl FnOnce() -> Result<Client>, screen: &Screen) -> Result<ExitCode> {
    let (assignments, shipments): (Vec<&String>, Vec<&String>) = args.words.iter().partition(|word| word.contains('='));
    if assignments.is_empty() {
        bail!(UsageError(format!("say what to set: FIELD=VALUE with one of {}", fields::KNOWN)));
    }
    if shipments.is_empty() == args.filter.is_none() {
        bail!(UsageError("name the shipments, or give --filter, and not both".to_owned()));
    }
    let mut plan = PlanFields::default();
    for assignment in &assignments {
        fields::set(&mut plan, assignment, &TimeZone::system()).map_err(UsageError)?;
    }
    let request = match &args.filter {
        Some(filter) => json!({ "filter": filter, "by": args.acting.by(), "fields": plan }),
        None => json!({ "shipments": shipments, "by": args.acting.by(), "fields": plan }),
    };
    let made: Vec<Made> = args.acting.post(&node()?, "/plans", &request)?;
    if screen.json {
        // `edit` is what a script looks for that planned one shipment; `edits` has all.
        screen.value(&json!({ "edit": made.first().map(|made| &made.edit), "edits": made }))?;
    } else {
        let set: Vec<_> = assignments.iter().map(|assignment| assignment.as_str()).collect();
        report(&made, &set.join(" "), screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mistake in what to set is told before any node is asked.
    #[test]
    fn misuse() {
        let planned = |words: &[&str], filter: Option<&str>| {
            let args = Args {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                filter: filter.map(str::to_owned),
                acting: Acting::default(),
            };
            let error = run(&args, || bail!("the node was asked"), &Screen::plain(crate::language::Language::En));
            error.expect_err("there is no node").to_string()
        };
        for (words, filter, expect) in [
            (&["M1"][..], None, "say what to set"),
            (&["run=1"], None, "not both"),
            (&["M1", "run=1"], Some("x"), "not both"),
            (&["M1", "colour=red"], None, "amount_due"),
            (&["M1", "run=1"], None, "the node was asked"),
            (&["run=1"], Some("x"), "the node was asked"),
        ] {
            let why = planned(words, filter);
            assert!(why.contains(expect), "{words:?}: {why}");
        }
    }
}
