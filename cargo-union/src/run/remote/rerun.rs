//! The request of a repetition: the inputs of a run, and either its version or the current sources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::TaskInfo;
use super::request::{CurrentTask, PreparedRun, ResolvedTask, RunCreation, queue};
use crate::deploy::project::{ProjectContext, open_context};
use crate::flyte::convert::{Literal, LiteralForm, literal};
use crate::flyte::interface::Interface;
use crate::flyte::runs::{self, PreviousRun, RepeatRequest, RunIdent};
use crate::flyte::tasks;
use crate::pipeline;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::names;
use crate::pipeline::problems::Result;
use crate::run::Reporter;
use crate::run::options::{RemoteRunOptions, Rerun};
use crate::run::selection::select_task;
use crate::sys::error::Error;

/// Looks up a run, and registers the current version of its task, unless `--same-version` repeats that of the run.
///
/// # Errors
/// `BackendNotFound` for a run that does not exist; `UnknownTask`, `InputsInvalid`; those of the registration.
pub(super) async fn prepare_rerun(
    options: &RemoteRunOptions,
    rerun: &Rerun,
    reporter: &Arc<dyn Reporter>,
) -> Result<PreparedRun> {
    let workspace_options = &options.register.options.scope;
    let pipeline_reporter: Arc<dyn pipeline::Reporter> = reporter.clone();
    let ProjectContext {
        client,
        scope,
        session,
    } = open_context(workspace_options, &pipeline_reporter).await?;
    let previous = runs::previous(&client, &RunIdent::named(scope.clone(), &rerun.run)).await?;
    let registered = tasks::get_task(&client, &previous.task).await?;
    let mut info = TaskInfo {
        package: None,
        task: Some(previous.task.name.clone()),
        version: Some(previous.task.version.clone()),
        image: Some(registered.image),
    };
    let mut task = previous.task.clone();
    let mut task_queue = String::new();
    let mut new_inputs = Vec::new();
    if !rerun.same_version {
        let mut session = session.ok_or_else(|| missing_package(&previous))?;
        session.settle_cache(workspace_options, &**reporter);
        let key = select_declared(&mut session, &previous)?;
        let current = CurrentTask {
            register: &options.register,
            session: &session,
            client: &client,
            task: &key,
        };
        let check =
            |interface: &Interface| check_inputs(&rerun.run, &registered.interface, interface);
        let ResolvedTask {
            version,
            image,
            inputs,
        } = current.register(&pipeline_reporter, check).await?;
        new_inputs = inputs;
        info = TaskInfo {
            package: Some(session.packages[0].package.name.clone()),
            version: Some(version.version.clone()),
            image: Some(image),
            task: Some(key.clone()),
        };
        task_queue = queue(&session.packages[0], &key);
        task = version;
    }
    let request = RepeatRequest {
        run: RunIdent::new(scope)?,
        previous,
        task,
        new_inputs,
        queue: task_queue,
        overwrite_cache: rerun.overwrite_cache,
    };
    Ok(PreparedRun {
        client,
        request: RunCreation::Repeat(Box::new(request)),
        task: info,
    })
}

/// Removes all packages except the one with the task of a run; returns the key of the task's table.
fn select_declared(session: &mut LoadedWorkspace, previous: &PreviousRun) -> Result<String> {
    let key = names::key_of_backend_name(session, &previous.task.name)?;
    select_task(session, &key)
}

fn missing_package(previous: &PreviousRun) -> Error {
    let task = &previous.task;
    Error::new(
        Code::NothingDeclared,
        format!("there are no sources of the task `{}` here", task.name),
    )
    .help(format!(
        "Run the command in its package, or repeat version {} with `--same-version`.",
        task.version
    ))
}

/// Checks that the inputs of a run fit the current interface of its task; `before` is the interface of the run. Returns
/// the new optional inputs, each with the literal for no value.
fn check_inputs(
    run: &str,
    before: &Interface,
    now: &Interface,
) -> Result<Vec<(String, Literal)>, Error> {
    let types = |interface: &Interface| -> BTreeMap<String, Type> {
        interface.inputs.iter().cloned().collect()
    };
    let (before, now) = (types(before), types(now));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let problem = |name: &String| match (before.get(name), now.get(name)) {
        (Some(before), Some(now)) if before == now => None,
        (Some(before), Some(now)) => Some(format!("`{name}` was `{before}`, and is `{now}` now")),
        (Some(_), None) => Some(format!("`{name}` is no longer an input")),
        (None, Some(Type::Optional(_)) | None) => None,
        (None, Some(ty)) => Some(format!("`{name}: {ty}` is new")),
    };
    let problems: Vec<String> = names.into_iter().filter_map(problem).collect();
    if problems.is_empty() {
        let is_new = |(name, _): &(&String, &Type)| !before.contains_key(*name);
        // The literal for no value is the same in all encodings.
        let nothing = |ty: &Type| literal(ty, &InputValue::Nothing, LiteralForm::Json).ok();
        let values = now
            .iter()
            .filter(is_new)
            .filter_map(|(name, ty)| Some((name.clone(), nothing(ty)?)));
        return Ok(values.collect());
    }
    let error = Error::new(
        Code::InputsInvalid,
        format!("the current task does not accept the inputs of the run `{run}`"),
    );
    Err(error.because(problems.join("; ")).help(
        "Repeat the run with `--same-version`, or start the task with `cargo union run --remote`.",
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn changed_inputs_are_listed_and_new_optional_ones_are_not() {
        let interface = |inputs: &[(&str, &str)]| Interface {
            inputs: inputs
                .iter()
                .map(|(name, ty)| ((*name).to_owned(), Type::parse(ty).unwrap()))
                .collect(),
            outputs: Vec::new(),
        };
        let before = interface(&[("x", "integer"), ("name", "string")]);
        let values = check_inputs(
            "r",
            &before,
            &interface(&[
                ("name", "string"),
                ("x", "integer"),
                ("seed", "optional[integer]"),
            ]),
        )
        .unwrap();
        assert_eq!(
            values
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>(),
            ["seed"]
        );
        let error = check_inputs(
            "r",
            &before,
            &interface(&[("x", "float"), ("y", "integer")]),
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::InputsInvalid);
        assert_eq!(
            error.chain()[1],
            "`name` is no longer an input; `x` was `integer`, and is `float` now; `y: integer` is new"
        );
    }
}
