//! Schedules that start a task.

use std::collections::BTreeMap;

use super::interface::DeclaredTaskInputs;
use crate::diag::{Code, Diagnostic};
use crate::spec::Sourced;
use crate::spec::task::{Schedule, Trigger};
use crate::spec::time::parse_duration;
use crate::spec::tree::{Table, TomlNode, TomlValue};
use crate::spec::types::Type;
use crate::spec::validate::reader::TableReader;
use crate::spec::validate::{grammar, tables};
use crate::spec::value::InputValue;

/// Reads `triggers`.
pub(super) fn read(
    inputs: &DeclaredTaskInputs<'_>,
    reader: &mut TableReader<'_>,
) -> BTreeMap<String, Trigger> {
    let mut triggers = BTreeMap::new();
    for (key, node, table) in tables(reader.table, "triggers") {
        let problem = grammar::NAME.problem(key, &node.key);
        reader.problems.extend(problem);
        let reader = &mut reader.inner(table);
        let Some(schedule) = schedule(key, node, reader) else {
            continue;
        };
        let trigger = Trigger {
            key: key.to_owned(),
            origin: node.key.clone(),
            schedule,
            inputs: values(table),
            time_input: reader.text("time-input", &grammar::VARIABLE),
            description: reader.text("description", &grammar::SHORT),
            active: reader.bool("active").is_none_or(|active| active.value),
        };
        check(&trigger, inputs, reader);
        triggers.insert(key.to_owned(), trigger);
    }
    triggers
}

fn schedule(key: &str, node: &TomlNode, reader: &mut TableReader<'_>) -> Option<Schedule> {
    let cron = reader.text("cron", &grammar::CRON);
    let every = reader.text("every", &grammar::DURATION);
    let timezone = reader.text("timezone", &grammar::TIMEZONE);
    let has = |key| reader.table.contains_key(key);
    let problem = match (has("cron"), has("every")) {
        (true, true) => Some(format!("trigger `{key}` has both `cron` and `every`")),
        (false, false) => Some(format!("trigger `{key}` has no schedule")),
        _ => None,
    };
    if let Some(message) = problem {
        let problem = Diagnostic::error(Code::InvalidValue, message, &node.key, "when?");
        reader
            .problems
            .push(problem.help("write either `cron = \"0 3 * * *\"` or `every = \"15m\"`"));
        return None;
    }
    if let (Some(timezone), None) = (&timezone, &cron) {
        let problem = Diagnostic::error(
            Code::InvalidValue,
            "only `cron` has a time zone",
            &timezone.origin,
            "unused",
        );
        reader.problems.push(problem.help("remove it"));
    }
    if let Some(cron) = cron {
        return Some(Schedule::Cron {
            expression: cron.value,
            timezone: timezone.map_or_else(|| "UTC".to_owned(), |zone| zone.value),
        });
    }
    let every = every?;
    let span = parse_duration(&every.value)?;
    let minutes = u32::try_from(span.as_secs() / 60)
        .ok()
        .filter(|minutes| *minutes > 0 && span.as_secs() % 60 == 0 && span.subsec_nanos() == 0);
    if minutes.is_none() {
        let message = format!("`{}` is not a whole number of minutes", every.value);
        let problem = Diagnostic::error(
            Code::InvalidValue,
            message,
            &every.origin,
            "not whole minutes",
        );
        reader
            .problems
            .push(problem.help("write minutes, hours or days, such as `15m`"));
    }
    minutes.map(Schedule::Every)
}

/// The input values of a trigger, with their places.
fn values(table: &Table) -> BTreeMap<String, Sourced<InputValue>> {
    let Some(TomlNode {
        value: TomlValue::Table(values),
        ..
    }) = table.get("inputs")
    else {
        return BTreeMap::new();
    };
    let sourced = |(name, node): (&String, &TomlNode)| {
        Some((
            name.clone(),
            Sourced {
                value: input_value(&node.value)?,
                origin: node.origin.clone(),
            },
        ))
    };
    values.iter().filter_map(sourced).collect()
}

/// Converts a value; `None` when a part of it was broken and reported.
fn input_value(value: &TomlValue) -> Option<InputValue> {
    Some(match value {
        TomlValue::Text(text) => InputValue::Text(text.clone()),
        TomlValue::Bool(value) => InputValue::Bool(*value),
        TomlValue::Integer(number) => InputValue::Integer(*number),
        TomlValue::Number(digits) => InputValue::Float(digits.parse().ok()?),
        TomlValue::List(nodes) => InputValue::List(
            nodes
                .iter()
                .map(|node| input_value(&node.value))
                .collect::<Option<_>>()?,
        ),
        TomlValue::Table(nodes) => InputValue::Map(
            nodes
                .iter()
                .map(|(name, node)| Some((name.clone(), input_value(&node.value)?)))
                .collect::<Option<_>>()?,
        ),
        TomlValue::Broken => return None,
    })
}

/// The first file or directory in a value that is not given by its address.
fn local_path<'a>(ty: &Type, value: &'a InputValue) -> Option<&'a str> {
    match (ty, value) {
        (Type::File | Type::Directory, InputValue::Text(path)) if !path.contains("://") => {
            Some(path)
        }
        (Type::Optional(inner), _) => local_path(inner, value),
        (Type::List(inner), InputValue::List(values)) => {
            values.iter().find_map(|value| local_path(inner, value))
        }
        (Type::Map(inner), InputValue::Map(values)) => {
            values.values().find_map(|value| local_path(inner, value))
        }
        _ => None,
    }
}

/// Checks the values against the task's inputs: a scheduled run cannot prompt for missing values.
fn check(trigger: &Trigger, inputs: &DeclaredTaskInputs<'_>, reader: &mut TableReader<'_>) {
    for (name, node) in reader.table("inputs").into_iter().flatten() {
        reader.problems.extend(inputs.unknown(name, &node.key));
    }
    for (name, value) in &trigger.inputs {
        let Some(ty) = inputs.types.get(name) else {
            continue;
        };
        let problem = |why: String, label: &str, help: &str| {
            let message = format!("input `{name}`: {why}");
            Diagnostic::error(Code::InvalidValue, message, &value.origin, label)
                .also(&ty.origin, "declared here")
                .help(help)
        };
        let misfit = ty.misfit(value);
        let is_misfit = misfit.is_some();
        reader.problems.extend(
            misfit.map(|why| problem(why, "of another type", "write a value of the declared type")),
        );
        // Values that `run` would reject as well.
        let unfit = ty.unfit_for_files(value).filter(|_| !is_misfit);
        reader
            .problems
            .extend(unfit.map(|why| problem(why, "cannot be an input", "write another value")));
        let local = local_path(ty, value).filter(|_| !is_misfit);
        reader.problems.extend(local.map(|path| {
            problem(
                format!("`{path}` is not an address"),
                "no address",
                "a schedule sends no files: put it where the backend can read it, and write its address, such as `s3://bucket/data.csv`",
            )
        }));
    }
    if let Some(time) = &trigger.time_input {
        reader.problems.extend(inputs.unknown(time, &time.origin));
        if let Some(ty) = inputs
            .types
            .get(&time.value)
            .filter(|ty| ty.value != Type::Datetime)
        {
            let message = format!("input `{}` is not a `datetime`", time.value);
            let problem =
                Diagnostic::error(Code::InvalidValue, message, &time.origin, "gets a time");
            reader.problems.push(
                problem
                    .also(&ty.origin, "declared here")
                    .help("name an input of the type `datetime`"),
            );
        }
    }
    let Some(values) = reader.table("inputs").filter(|_| inputs.are_known()) else {
        return;
    };
    let is_time = |name: &String| {
        trigger
            .time_input
            .as_ref()
            .is_some_and(|time| time.value == *name)
    };
    let is_missing = |(name, ty): &(&String, &Sourced<Type>)| {
        !matches!(ty.value, Type::Optional(_)) && !values.contains_key(*name) && !is_time(name)
    };
    let missing: Vec<String> = inputs
        .types
        .iter()
        .filter(is_missing)
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "trigger `{}` does not set {}",
            trigger.key,
            missing.join(", ")
        );
        let problem = Diagnostic::error(
            Code::InvalidValue,
            message,
            &trigger.origin,
            "inputs are missing",
        );
        reader
            .problems
            .push(problem.help("set a value for each under `inputs`"));
    }
}
