//! The lines of `-vv`: each span of this crate as one line when it ends, each event when it happens.
//!
//! `trace: http method=GET url=https://… status=200 sent=0 received=12 attempt=1 duration=0.034s`

use std::fmt::{Debug, Display, Write as _};
use std::sync::Arc;
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::Ui;

/// The root of this crate's modules. Spans of libraries are left out, because they may contain secrets such as headers.
const OWN: &str = env!("CARGO_CRATE_NAME");
/// A span without a line of its own; its fields are added to the lines of the spans in it.
const CONTEXT: &str = "attempt";

/// Shows the spans and events of this process from here on. Only the first call has an effect.
pub fn show_traces(ui: &Arc<Ui>) {
    let layer = TraceLayer(ui.clone());
    // A process that embeds the tool may have set a subscriber already; then that one receives the spans.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

struct TraceLayer(Arc<Ui>);

/// The recorded data of an open span.
struct SpanRecord {
    began: Instant,
    fields: Fields,
}

/// Fields as `name=value`, in the order in which they were recorded.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Display) {
        self.0.push((field.name(), quoted(&value.to_string())));
    }

    fn write_to(&self, line: &mut String) {
        for (name, value) in &self.0 {
            let _ = write!(line, " {name}={value}");
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format_args!("{value:?}"));
    }
}

impl TraceLayer {
    fn show(&self, name: &str, own: &Fields, context: Option<&Fields>, began: Option<Instant>) {
        let mut line = format!("trace: {name}");
        own.write_to(&mut line);
        if let Some(context) = context {
            context.write_to(&mut line);
        }
        if let Some(began) = began {
            let _ = write!(line, " duration={:.3}s", began.elapsed().as_secs_f64());
        }
        self.0.line(&line);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().split("::").next() == Some(OWN)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanRecord {
                began: Instant::now(),
                fields,
            });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(record) = span.extensions_mut().get_mut::<SpanRecord>()
        {
            values.record(&mut record.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.show(event.metadata().name(), &fields, None, None);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id).filter(|span| span.name() != CONTEXT) else {
            return;
        };
        let around = span.scope().find(|span| span.name() == CONTEXT);
        let around = around.as_ref().map(|span| span.extensions());
        let around = around
            .as_ref()
            .and_then(|extensions| extensions.get::<SpanRecord>());
        if let Some(record) = span.extensions().get::<SpanRecord>() {
            self.show(
                span.name(),
                &record.fields,
                around.map(|record| &record.fields),
                Some(record.began),
            );
        }
    }
}

/// A value on one line, quoted if it could be confused with the text around it.
fn quoted(value: &str) -> String {
    let is_plain = |letter: char| {
        !letter.is_whitespace() && !letter.is_control() && !matches!(letter, '"' | '=')
    };
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traced_value_is_quoted_when_it_would_break_its_line() {
        for (value, shown) in [
            ("https://a/b?…", "https://a/b?…"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a\nb", "\"a\\nb\""),
            ("a=b", "\"a=b\""),
        ] {
            assert_eq!(quoted(value), shown);
        }
    }
}
