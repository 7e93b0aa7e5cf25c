//! YAML as a tree whose scalars are strings with a place. The reader of a key interprets the string: Python reads YAML
//! 1.1, where `yes` is true, and a client id of digits must remain a string.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::sys::words;

/// The maximum nesting depth: the keys of a config are at most three levels deep.
const DEEPEST: usize = 64;

/// A node with its byte range.
#[derive(Clone, Debug)]
pub(super) struct YamlNode {
    pub(super) span: Range<usize>,
    pub(super) value: YamlValue,
}

/// The value of a node. The node of an anchor is shared by its aliases.
#[derive(Clone, Debug)]
pub(super) enum YamlValue {
    Null,
    Text(String),
    List(Vec<Rc<YamlNode>>),
    Map(Vec<(Rc<YamlNode>, Rc<YamlNode>)>),
}

impl YamlNode {
    /// The value of a key. If there are several, the last one is used, as in Python; keys of merged maps have lower
    /// precedence.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let YamlValue::Map(entries) = &self.value else {
            return None;
        };
        let entry = |name: &str| {
            let last = entries
                .iter()
                .rfind(|(key, _)| matches!(&key.value, YamlValue::Text(text) if text == name));
            last.map(|(_, node)| &**node)
        };
        entry(key).or_else(|| match &entry("<<")?.value {
            YamlValue::List(maps) => maps.iter().find_map(|map| map.get(key)),
            _ => entry("<<")?.get(key),
        })
    }
}

/// Why and where a text is not a valid config.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) span: Range<usize>,
    pub(super) why: String,
}

/// Parses a single document; `None` when it is empty.
pub(super) fn parse(text: &str) -> Result<Option<YamlNode>, YamlError> {
    let mut tree = YamlTree {
        offsets: words::char_offsets(text),
        open: Vec::new(),
        anchors: HashMap::new(),
        done: None,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| tree.error_at(&Span::empty(*error.marker()), error.info()))?;
        tree.handle_event(event, &span)?;
    }
    Ok(tree
        .done
        .map(|node| Rc::try_unwrap(node).unwrap_or_else(|shared| (*shared).clone())))
}

/// Builds the tree from parser events.
struct YamlTree {
    /// Byte offset of each character and of the end, because the parser counts characters.
    offsets: Vec<usize>,
    /// Lists and maps that are not closed, with the ids of their anchors and, for maps, the pending key.
    open: Vec<(usize, YamlNode, Option<Rc<YamlNode>>)>,
    anchors: HashMap<usize, Rc<YamlNode>>,
    done: Option<Rc<YamlNode>>,
}

impl YamlTree {
    fn handle_event(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let node = |value| YamlNode {
            span: self.byte_range(span),
            value,
        };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let node = node(if null {
                    YamlValue::Null
                } else {
                    YamlValue::Text(text.into_owned())
                });
                self.finish_node(anchor, node);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.open.len() == DEEPEST => {
                return Err(self.error_at(span, "the document is nested too deeply"));
            }
            Event::SequenceStart(anchor, _) => {
                self.open
                    .push((anchor, node(YamlValue::List(Vec::new())), None))
            }
            Event::MappingStart(anchor, _) => {
                self.open
                    .push((anchor, node(YamlValue::Map(Vec::new())), None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, node, _) = self
                    .open
                    .pop()
                    .expect("the parser closes only what it opened");
                self.finish_node(anchor, node);
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let unknown =
                    || self.error_at(span, "an alias refers to a node that is not complete");
                self.add_node(node.ok_or_else(unknown)?);
            }
            Event::DocumentStart(_) if self.done.is_some() => {
                return Err(self.error_at(
                    span,
                    "a config is a single document, but a second one starts here",
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish_node(&mut self, anchor: usize, node: YamlNode) {
        let node = Rc::new(node);
        // Anchors are numbered from one.
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.add_node(node);
    }

    /// Adds a finished node to the innermost open list or map.
    fn add_node(&mut self, node: Rc<YamlNode>) {
        let Some((_, parent, key)) = self.open.last_mut() else {
            self.done = Some(node);
            return;
        };
        match &mut parent.value {
            YamlValue::List(nodes) => nodes.push(node),
            YamlValue::Map(entries) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
            YamlValue::Null | YamlValue::Text(_) => unreachable!("only lists and maps are opened"),
        }
    }

    fn byte_range(&self, span: &Span) -> Range<usize> {
        let end = self.offsets.len() - 1;
        self.offsets[span.start.index().min(end)]..self.offsets[span.end.index().min(end)]
    }

    fn error_at(&self, span: &Span, why: &str) -> YamlError {
        YamlError {
            span: self.byte_range(span),
            why: why.to_owned(),
        }
    }
}
